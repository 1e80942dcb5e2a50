// What dies under a run, and that the run and who follows it do not notice.
#include <doctest/doctest.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/support/farm.h"

namespace furrow {
namespace {

namespace fs = std::filesystem;

// Two jobs beside each other that print numbered lines for about three seconds, and one behind them; each notes that
// it was started.
std::string LongPipeline(const std::string& marks) {
  const std::string job = "    steps:\n      - run: |\n          echo x >> " + marks +
                          "/$FURROW_JOB\n          for i in $(seq 1 150); do echo line $i; sleep 0.02; done\n";
  return "name: long\njobs:\n  a:\n" + job + "  b:\n" + job + "  c:\n    needs: [a, b]\n    steps:\n      - run: |\n" +
         "          echo x >> " + marks + "/$FURROW_JOB\n          echo last\n";
}

// The lines of one job, its prefix taken off.
std::string LinesOf(const std::string& out, const std::string& job) {
  std::istringstream in(out);
  std::string lines;
  for (std::string line; std::getline(in, line);)
    if (line.starts_with(job + ": ")) lines += line.substr(job.size() + 2) + "\n";
  return lines;
}

std::string Numbered(int count) {
  std::string lines;
  for (int i = 1; i <= count; ++i) lines += "line " + std::to_string(i) + "\n";
  return lines;
}

void CheckWhole(Farm& farm, const CliResult& run) {
  INFO(run.err);
  CHECK(run.status == 0);
  CHECK(LinesOf(run.out, "a") == Numbered(150));
  CHECK(LinesOf(run.out, "b") == Numbered(150));
  CHECK(LinesOf(run.out, "c") == "last\n");
  CHECK(farm.Furrow({"logs", "long#1/a"}).out == Numbered(150));
  const auto jobs = nlohmann::json::parse(farm.Furrow({"--json", "show", "long#1"}).out)["jobs"];
  for (const auto& job : jobs) CHECK(job["attempt"] == 1);
  for (const char* job : {"marks/a", "marks/b", "marks/c"}) CHECK(farm.Read(job) == "x\n");
}

}  // namespace

TEST_CASE("controller killed in the middle: the run passes, each job ran once, each log is whole") {
  Farm farm({.agents = 2});
  farm.Write("marks/none", "");
  farm.Write("work/furrow.yaml", LongPipeline(farm / "marks"));
  const auto run = farm.Start({"run", farm / "work"});
  REQUIRE(run->AwaitOut("a: line 20\n"));
  farm.KillController();
  farm.StartController();
  REQUIRE(run->AwaitOut("b: line 80\n"));
  farm.KillController();
  farm.StartController();
  CheckWhole(farm, run->Wait());
}

TEST_CASE("agent killed in the middle: its jobs run on, and their logs are whole") {
  Farm farm({.agents = 2});
  farm.Write("marks/none", "");
  farm.Write("work/furrow.yaml", LongPipeline(farm / "marks"));
  const auto run = farm.Start({"run", farm / "work"});
  REQUIRE(run->AwaitOut("a: line 20\n"));
  farm.KillAgent(1);
  farm.StartAgent(1);
  CheckWhole(farm, run->Wait());
}

TEST_CASE("agent stopped past its lease: its attempt is over before the next begins, and what it says later is stale") {
  Farm farm({.agents = 2, .controller_yaml = "agents:\n  lease: 2s\n  heartbeat: 200ms\n"});
  farm.Write("marks/none", "");
  farm.Write("work/furrow.yaml",
             "name: twice\njobs:\n  job:\n    steps:\n      - run: |\n          cd " + (farm / "marks") + "\n" +
                 "          date +%s%N >> begun\n"
                 "          [ $(wc -l < begun) = 1 ] || { echo second; exit 0; }\n"
                 "          while :; do date +%s%N > beat.new; mv beat.new beat; sleep 0.01; done\n");

  const auto run = farm.Start({"run", farm / "work"});
  REQUIRE(Farm::Until([&] { return fs::exists(farm / "marks/beat"); }));
  const auto job = [&] { return nlohmann::json::parse(farm.Furrow({"--json", "show", "twice#1"}).out)["jobs"][0]; };
  REQUIRE(Farm::Until([&] { return job()["state"] == "running"; }));
  const pid_t agent = farm.AgentPid(job()["agent"] == "agent-1" ? 1 : 2);
  REQUIRE(::kill(agent, SIGSTOP) == 0);
  const CliResult ended = run->Wait();
  CHECK(ended.status == 0);
  const long last_beat = std::stol(farm.Read("marks/beat"));
  const std::string begun = farm.Read("marks/begun");
  CHECK(last_beat < std::stol(begun.substr(begun.find('\n') + 1)));

  REQUIRE(::kill(agent, SIGCONT) == 0);
  // Registered again, it reports the attempt that its runner ended, and gets work again.
  REQUIRE(farm.Furrow({"run", farm / "work"}).status == 0);
  CHECK(job()["state"] == "passed");
  CHECK(job()["attempt"] == 2);
  CHECK(farm.Furrow({"logs", "twice#1/job"}).out == "second\n");
  CHECK(std::count(begun.begin(), begun.end(), '\n') == 2);
}

TEST_CASE("a job that would print 10 GB: ended at its quota, its log cut there, the disk spared") {
  constexpr std::uint64_t kQuota = 64 << 20;
  Farm farm({.controller_yaml = "jobs:\n  log_quota: 64MiB\n"});
  farm.Write("work/furrow.yaml",
             "name: flood\njobs:\n  flood:\n    steps:\n      - run: yes 'loss 0.1234' | head -c 10000000000\n"
             "  other:\n    needs: [flood]\n    steps: [run: echo never]\n");
  const auto run = farm.Start({"run", "--detach", farm / "work"});
  REQUIRE(run->Wait().status == 0);
  std::uint64_t most = 0;  // that the agent's disk had to hold
  REQUIRE(Farm::Until([&] {
    std::error_code gone;
    for (fs::recursive_directory_iterator file(farm.AgentFolder(1), gone), end; !gone && file != end;
         file.increment(gone))
      if (file->is_regular_file(gone)) most = std::max<std::uint64_t>(most, file->file_size(gone));
    const auto shown = nlohmann::json::parse(farm.Furrow({"--json", "show", "flood#1"}).out);
    return shown["run"]["state"] == "failed";
  }));
  MESSAGE("the largest file on the agent: " << (most >> 20) << " MiB");
  CHECK(most < 1'000'000'000);

  const auto words = farm.Furrow({"show", "flood#1"}).out;
  INFO(words);
  CHECK(words.find("log quota") != std::string::npos);
  const std::string log = farm.Furrow({"logs", "flood#1/flood"}).out;
  CHECK(log.size() > kQuota);
  CHECK(log.size() < kQuota + 1000);  // the runner's words behind it
  CHECK(log.find("log quota", kQuota) != std::string::npos);
}

TEST_CASE("controller away: a question ends with status 3 and says where it looked") {
  Farm farm;
  farm.StopController();
  const CliResult runs = farm.Furrow({"runs"});
  CHECK(runs.status == 3);
  CHECK(runs.err.find("127.0.0.1:") != std::string::npos);
  CHECK(runs.err.find("furrow up") != std::string::npos);
  farm.StartController();
  CHECK(farm.Furrow({"runs"}).status == 0);
}

TEST_CASE("cli: an unknown key is refused with the line that would let it in") {
  Farm farm;
  const auto address = nlohmann::json::parse(farm.Read("state/farm.json"));
  farm.Write("home/.config/furrow/controller.pub", address["key"].get<std::string>() + "\n");
  const CliResult runs =
      farm.Plain({"runs"}, {{"HOME", farm / "home"}, {"FURROW_CONTROLLER", address["control"].get<std::string>()}});
  CHECK(runs.status == 4);
  const std::string line = "client NAME " + farm.Read("home/.config/furrow/client.key.pub").substr(0, 40);
  CHECK(runs.err.find(line) != std::string::npos);
}

}  // namespace furrow
