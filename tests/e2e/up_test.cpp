// `furrow up`: a whole farm in one command, which leaves nothing behind.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <spawn.h>
#include <unistd.h>

#include <csignal>
#include <nlohmann/json.hpp>

#include "common/base/run_program.h"
#include "controller/cli/up/daemon.h"
#include "tests/support/farm.h"

extern char** environ;

namespace furrow {
namespace {

// A `furrow up` in a folder of its own.
class Up {
 public:
  explicit Up(std::vector<std::string> more = {"--agents", "2", "--port", "0"}) {
    std::vector<std::string> words{ProgramFolder() + "/furrow", "--state", State(), "up"};
    words.insert(words.end(), more.begin(), more.end());
    int out[2], err[2];
    REQUIRE(::pipe2(out, O_CLOEXEC) == 0);
    REQUIRE(::pipe2(err, O_CLOEXEC) == 0);
    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
    ::posix_spawn_file_actions_adddup2(&actions, err[1], STDERR_FILENO);
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    pid_t pid = 0;
    REQUIRE(::posix_spawn(&pid, argv[0], &actions, nullptr, argv.data(), environ) == 0);
    ::posix_spawn_file_actions_destroy(&actions);
    ::close(out[1]);
    ::close(err[1]);
    process_ = std::make_unique<Background>(pid, out[0], err[0]);
  }
  ~Up() {
    for (const pid_t runner : cli::RunnersBeneath(State() + "/agents")) ::kill(runner, SIGTERM);
  }

  Background& process() { return *process_; }
  std::string State() const { return folder_ / "state"; }
  const TempFolder& folder() const { return folder_; }

  std::map<std::string, pid_t> Pids() const {
    const auto json = nlohmann::json::parse(folder_.Read("state/up.json"), nullptr, false);
    std::map<std::string, pid_t> pids;
    if (json.is_object())
      for (const auto& [name, pid] : json.items()) pids[name] = pid.get<pid_t>();
    return pids;
  }

  ProgramResult Furrow(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), {ProgramFolder() + "/furrow", "--state", State()});
    auto result = RunProgram(arguments);
    REQUIRE(result);
    return *result;
  }

 private:
  TempFolder folder_;
  std::unique_ptr<Background> process_;
};

bool Gone(pid_t pid) {
  return ::kill(pid, 0) != 0;
}

bool AllGone(const Up& up, const std::map<std::string, pid_t>& pids) {
  for (const auto& [name, pid] : pids)
    if (!Gone(pid)) return false;
  return cli::RunnersBeneath(up.State() + "/agents").empty();
}

constexpr const char* kSleeper = "name: s\njobs:\n  a:\n    steps: [{run: \"echo begun; sleep 600\"}]\n";

}  // namespace

TEST_CASE("up: says when it is ready, runs jobs, and Ctrl-C ends everything") {
  Up up;
  REQUIRE(up.process().AwaitOut("ready"));
  const auto pids = up.Pids();
  CHECK(pids.size() == 4);
  up.folder().Write("work/furrow.yaml", kSleeper);
  CHECK(up.Furrow({"run", up.folder() / "work", "--detach"}).out == "s#1\n");
  REQUIRE(Farm::Until([&] {
    return up.Furrow({"logs", "s#1"}).out == "a: begun\n" || up.Furrow({"logs", "s#1/a"}).out == "begun\n";
  }));
  up.process().Signal(SIGINT);
  const CliResult end = up.process().Wait(std::chrono::seconds(60));
  CHECK(end.status == 0);
  CHECK(AllGone(up, pids));
}

TEST_CASE("up: killed with -9 it leaves no process behind") {
  Up up;
  REQUIRE(up.process().AwaitOut("ready"));
  const auto pids = up.Pids();
  up.folder().Write("work/furrow.yaml", kSleeper);
  REQUIRE(up.Furrow({"run", up.folder() / "work", "--detach"}).status == 0);
  REQUIRE(Farm::Until([&] { return up.Furrow({"logs", "s#1/a"}).out == "begun\n"; }));
  up.process().Signal(SIGKILL);
  up.process().Wait();
  CHECK(Farm::Until([&] { return AllGone(up, pids); }));
}

TEST_CASE("up: a daemon that dies comes back, the controller on the same ports") {
  Up up;
  REQUIRE(up.process().AwaitOut("ready"));
  const auto before = nlohmann::json::parse(up.folder().Read("state/farm.json"));
  for (const char* name : {"controller", "agent-1"}) {
    const pid_t old = up.Pids()[name];
    ::kill(old, SIGKILL);
    CHECK(Farm::Until([&] { return up.Pids()[name] != old && up.Pids()[name] != 0; }));
  }
  CHECK(Farm::Until([&] {
    const auto answer = up.Furrow({"--json", "agents"});
    if (answer.status != 0) return false;
    std::size_t connected = 0;
    const auto list = nlohmann::json::parse(answer.out)["agents"];
    for (const auto& agent : list) connected += agent["connected"] ? 1 : 0;
    return connected == 2;
  }));
  CHECK(nlohmann::json::parse(up.folder().Read("state/farm.json"))["control"] == before["control"]);
}

TEST_CASE("up: a second one in the same folder is refused, one on the same port fails, each with the reason") {
  Up up;
  REQUIRE(up.process().AwaitOut("ready"));
  const auto second = up.Furrow({"up", "--port", "0"});
  CHECK(second.status == 4);
  CHECK(second.err.find("running") != std::string::npos);

  const std::string control = nlohmann::json::parse(up.folder().Read("state/farm.json"))["control"];
  const int port = std::stoi(control.substr(control.find(':') + 1));
  const auto other = RunProgram(
      {ProgramFolder() + "/furrow", "--state", up.folder() / "other", "up", "--port", std::to_string(port - 1)});
  REQUIRE(other);
  CHECK(other->status == 1);
  CHECK(other->err.find("port " + std::to_string(port) + " is in use") != std::string::npos);
}

}  // namespace furrow
