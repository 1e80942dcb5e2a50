// How jobs end: with whom they die, whom they can take along, and what a person is told.
#include <doctest/doctest.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>

#include "tests/support/farm.h"

namespace furrow {
namespace {

namespace fs = std::filesystem;

constexpr char kShortLease[] = "agents:\n  lease: 2s\n  heartbeat: 200ms\n";

nlohmann::json JobOf(Farm& farm, const std::string& run, std::size_t index = 0) {
  return nlohmann::json::parse(farm.Furrow({"--json", "show", run}).out)["jobs"][index];
}

// A pipeline whose first attempt writes the time all the while, in a process of a session of its own, and whose second
// says when it began.
std::string Beating(const Farm& farm) {
  return "name: twice\njobs:\n  job:\n    steps:\n      - run: |\n          cd " + (farm / "marks") +
         "\n"
         "          date +%s%N >> begun\n"
         "          [ $(wc -l < begun) = 1 ] || { echo second; exit 0; }\n"
         "          setsid bash -c 'trap \"\" TERM HUP; while :; do date +%s%N > beat.new; mv beat.new beat; "
         "sleep 0.01; done' &\n"
         "          sleep 1000\n";
}

}  // namespace

TEST_CASE("ends: agent and runner die or stop and nobody starts them again: the attempts never overlap") {
  struct Case {
    const char* name;
    int to_agent;
    int to_runner;
  };
  for (const Case one :
       {Case{"both killed", SIGKILL, SIGKILL}, Case{"runner killed, agent stopped", SIGSTOP, SIGKILL},
        Case{"runner stopped, agent killed", SIGKILL, SIGSTOP}, Case{"both stopped", SIGSTOP, SIGSTOP}}) {
    CAPTURE(one.name);
    Farm farm({.agents = 2, .controller_yaml = kShortLease});
    farm.Write("marks/none", "");
    farm.Write("work/furrow.yaml", Beating(farm));
    const auto run = farm.Start({"run", farm / "work"});
    REQUIRE(Farm::Until([&] { return fs::exists(farm / "marks/beat"); }));
    REQUIRE(Farm::Until([&] { return JobOf(farm, "twice#1")["state"] == "running"; }));
    const std::uint32_t agent = JobOf(farm, "twice#1")["agent"] == "agent-1" ? 1 : 2;
    const std::string own = farm.AgentFolder(agent);
    pid_t its_runner = 0;
    for (const pid_t runner : farm.Runners())
      if (fs::read_symlink("/proc/" + std::to_string(runner) + "/cwd") == own) its_runner = runner;
    REQUIRE(its_runner != 0);
    // The runner comes first, or the agent would start another one.
    REQUIRE(::kill(farm.AgentPid(agent), SIGSTOP) == 0);
    REQUIRE(::kill(its_runner, one.to_runner) == 0);
    if (one.to_agent == SIGKILL) farm.KillAgent(agent);
    CHECK(run->Wait().status == 0);
    const long last_beat = std::stol(farm.Read("marks/beat"));
    const std::string begun = farm.Read("marks/begun");
    CHECK(std::count(begun.begin(), begun.end(), '\n') == 2);
    CHECK(last_beat < std::stol(begun.substr(begun.find('\n') + 1)));
    if (one.to_runner == SIGSTOP) ::kill(its_runner, SIGCONT);
    if (one.to_agent == SIGSTOP) ::kill(farm.AgentPid(agent), SIGCONT);
  }
}

TEST_CASE("ends: a job that signals its parent, the runner and the agent ends none of them, nor its neighbour") {
  Farm farm;
  farm.Write("marks/none", "");
  farm.Write("work/furrow.yaml",
             "name: rude\njobs:\n"
             "  neighbour:\n    resources: { cpus: 0.1 }\n    steps:\n      - run: |\n          touch " +
                 (farm / "marks/up") + "\n          while [ ! -e " + (farm / "marks/go") +
                 " ]; do sleep 0.05; done\n          echo untouched\n"
                 "  rude:\n    resources: { cpus: 0.1 }\n    steps:\n      - run: |\n          while [ ! -e " +
                 (farm / "marks/up") +
                 " ]; do sleep 0.05; done\n"
                 "          runner=$(cut -d' ' -f4 /proc/$PPID/stat)\n"
                 "          for s in TERM INT HUP; do kill -$s $PPID $runner " +
                 std::to_string(farm.AgentPid(1)) + "; done\n          touch " + (farm / "marks/go") + "\n");
  const CliResult run = farm.Furrow({"run", farm / "work"});
  INFO(run.out << run.err);
  CHECK(run.status == 0);
  CHECK(farm.Furrow({"logs", "rude#1/neighbour"}).out == "untouched\n");
  CHECK(farm.AgentRuns(1));
  for (const std::size_t index : {0, 1}) CHECK(JobOf(farm, "rude#1", index)["attempt"] == 1);
}

TEST_CASE("ends: a runner that a job has stopped is woken by the agent") {
  Farm farm;
  farm.Write("work/furrow.yaml",
             "name: stop\njobs:\n  a:\n    steps:\n      - run: kill -STOP $(cut -d' ' -f4 /proc/$PPID/stat)\n"
             "      - run: echo went on\n");
  CHECK(farm.Furrow({"run", farm / "work"}).status == 0);
  CHECK(farm.Furrow({"logs", "stop#1/a"}).out == "went on\n");
}

TEST_CASE("ends: a service whose agent somebody else ends has failed, so that its manager starts it again") {
  Farm farm({.environment = {{"NOTIFY_SOCKET", "/nonexistent"}}});
  const std::string agent = std::to_string(farm.AgentPid(1));
  CHECK(farm.Program({"/bin/bash", "-c", "kill -TERM " + agent})->Wait().status == 0);
  REQUIRE(Farm::Until([&] { return !farm.AgentRuns(1); }));
  CHECK(farm.AgentLog(1).find("not by the service manager, which starts it again") != std::string::npos);
  farm.StopAgent(1, 0);  // reaps it
  farm.StartAgent(1);
  farm.StopAgent(1, SIGTERM);  // by its parent, as a service manager does it
  CHECK(farm.AgentLog(1).find("stopped; its jobs go on") != std::string::npos);
  farm.StartAgent(1);
}

TEST_CASE("ends: a job that takes the agent's folders away costs the jobs after it nothing") {
  Farm farm;
  for (const std::string what : {"rm -rf ../../spool", "rm -rf ../../work", "chmod 000 ..", "chmod 000 ../../spool",
                                 "S=$(realpath ../..); cd /; rm -rf $S/work; echo x > $S/work",
                                 "S=$(realpath ../..); rm -rf $S/spool; echo x > $S/spool"}) {
    CAPTURE(what);
    farm.Write("work/furrow.yaml",
               "name: harm\njobs:\n  a:\n    retry: { max: 0 }\n    steps:\n      - run: " + what + "\n");
    farm.Furrow({"run", farm / "work"});
    farm.Write("work/furrow.yaml",
               "name: after\njobs:\n  a:\n    retry: { max: 0 }\n    steps:\n      - run: echo fine\n");
    CHECK(farm.Furrow({"run", farm / "work"}).status == 0);
    CHECK(farm.Furrow({"logs", "after"}).out == "fine\n");
  }
}

TEST_CASE("ends: a job whose log somebody took away is lost and never passes") {
  Farm farm;
  for (const std::string what : {"rm -f ../../spool/*.log", "rm -rf ../../spool", "find ../.. -name '*.log' -delete"}) {
    CAPTURE(what);
    farm.Write("work/furrow.yaml", "name: gone\njobs:\n  a:\n    retry: { max: 0 }\n    steps:\n      - run: seq 10; " +
                                       what + "; seq 20\n");
    CHECK(farm.Furrow({"run", farm / "work"}).status == 1);
    CHECK(farm.Furrow({"show", "gone"}).out.find("of the agent's spool") != std::string::npos);
  }
}

TEST_CASE("ends: a runner's journal that is damaged, cut or gone loses its jobs and doubles none") {
  const std::vector<std::pair<std::string, std::function<void(const std::string&)>>> ways = {
      {"gone", [](const std::string& path) { fs::remove(path); }},
      {"cut", [](const std::string& path) { fs::resize_file(path, 12); }},
      {"damaged", [](const std::string& path) { fs::resize_file(path, 20), fs::resize_file(path, 4000); }},
  };
  for (const auto& way : ways) {
    CAPTURE(way.first);
    Farm farm;
    farm.Write("marks/none", "");
    farm.Write("work/furrow.yaml", Beating(farm));
    const auto run = farm.Start({"run", farm / "work"});
    REQUIRE(Farm::Until([&] { return fs::exists(farm / "marks/beat"); }));
    REQUIRE(Farm::Until([&] { return JobOf(farm, "twice#1")["state"] == "running"; }));
    // The agent is stopped so that its next runner starts on the damaged file.
    REQUIRE(::kill(farm.AgentPid(1), SIGSTOP) == 0);
    farm.KillRunner(1);
    REQUIRE(Farm::Until([&] { return farm.Runners().empty(); }));
    way.second(farm.AgentFolder(1) + "/runner.journal");
    REQUIRE(::kill(farm.AgentPid(1), SIGCONT) == 0);
    CHECK(run->Wait().status == 0);
    CHECK(JobOf(farm, "twice#1")["attempt"] == 2);
    const std::string begun = farm.Read("marks/begun");
    CHECK(std::count(begun.begin(), begun.end(), '\n') == 2);
    CHECK(std::stol(farm.Read("marks/beat")) < std::stol(begun.substr(begun.find('\n') + 1)));
  }
}

TEST_CASE("ends: how a job ended is said in words where a person looks, the same for a shell and without one") {
  Farm farm;
  farm.Write("work/furrow.yaml",
             "name: words\njobs:\n"
             "  missing: { steps: [{ run: no-such-tool }] }\n"
             "  killed: { steps: [{ run: kill -9 $$ }] }\n"
             "  direct: { steps: [{ exec: [bash, -c, kill -9 $$] }] }\n"
             "  below: { steps: [{ run: \"bash -c 'kill -9 $$'; true\" }] }\n"
             "  pipe: { steps: [{ run: \"yes | head -1\" }] }\n"
             "  again: { retry: { max: 1, on: [143] }, steps: [{ exec: [bash, -c, kill -TERM $$] }] }\n");
  CHECK(farm.Furrow({"run", farm / "work"}).status == 1);
  const std::string shown = farm.Furrow({"show", "words#1"}).out;
  const auto says = [&](const std::string& part) { CHECK_MESSAGE(shown.find(part) != std::string::npos, shown); };
  says("exit status 127 in step 1, `no-such-tool`: the command `no-such-tool`");
  says("exit status 137 in step 1, `kill -9 $$`: killed (SIGKILL)");
  says("exit status 141 in step 1, `yes | head -1`: broken pipe");
  says("exit status 143 in step 1, `bash -c kill -TERM $$`: ended by SIGTERM");
  for (const auto& job : nlohmann::json::parse(farm.Furrow({"--json", "show", "words#1"}).out)["jobs"]) {
    const std::string name = job["job"];
    if (name == "killed" || name == "direct" || name == "below") CHECK(job["outcome"]["code"] == 137);
    if (name == "again") CHECK(job["attempt"] == 2);
  }
  CHECK(farm.Furrow({"logs", "words#1/direct"}).out.find("furrow: exit status 137: killed") != std::string::npos);
}

}  // namespace furrow
