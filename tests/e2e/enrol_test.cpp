// Machines that join with a line of `furrow enrol new`, with the real programs: who gets in, who does not and why.
#include <doctest/doctest.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "tests/support/farm.h"

namespace furrow {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using Steady = std::chrono::steady_clock;

// A machine beside the farm's own: a state folder, a configuration, perhaps a daemon.
class Machine {
 public:
  Machine(Farm& farm, const std::string& name, const std::string& more = "") : farm_(farm), name_(name) {
    farm.Write(name + ".yaml", "state: " + State() + "\noffer: { gpus: none }\n" + more);
  }
  ~Machine() {
    if (daemon_) daemon_->Signal(SIGINT);
    if (daemon_) daemon_->Wait(std::chrono::seconds(30));
  }

  std::string State() const { return farm_ / name_; }
  std::vector<std::string> Argv(std::vector<std::string> words) const {
    words.insert(words.begin(), {ProgramFolder() + "/furrow-agent", "--config", farm_ / (name_ + ".yaml")});
    return words;
  }
  CliResult Enrol(std::vector<std::string> words) const {
    words.insert(words.begin(), "enrol");
    return farm_.Program(Argv(words))->Wait();
  }
  Background& Start() {
    daemon_ = farm_.Program(Argv({}));
    return *daemon_;
  }
  Background& daemon() { return *daemon_; }

 private:
  Farm& farm_;
  const std::string name_;
  std::unique_ptr<Background> daemon_;
};

std::string NewLine(Farm& farm, std::vector<std::string> more = {}) {
  more.insert(more.begin(), {"enrol", "new"});
  const CliResult made = farm.Furrow(more);
  REQUIRE_MESSAGE(made.status == 0, made.err);
  CHECK(made.out.find('\n') == made.out.size() - 1);
  return made.out.substr(0, made.out.size() - 1);
}

json AgentNamed(Farm& farm, const std::string& name) {
  const CliResult answer = farm.Furrow({"--json", "agents"});
  if (answer.status != 0) return nullptr;
  const json list = json::parse(answer.out)["agents"];
  for (const json& agent : list)
    if (agent["name"] == name) return agent;
  return nullptr;
}

bool IsConnected(Farm& farm, const std::string& name) {
  const json agent = AgentNamed(farm, name);
  return agent.is_object() && agent["connected"] == true;
}

}  // namespace

TEST_CASE("enrol: a waiting agent goes on by itself, and is seen within a second of its enrolment") {
  Farm farm({.agents = 0});
  const std::string line = NewLine(farm, {"--labels", "a100,nvme", "--labels", "rack-3"});
  Machine machine(farm, "gpu-1", "name: gpu-1\n");
  Background& daemon = machine.Start();
  REQUIRE(Farm::Until([&] { return daemon.err().find("not enrolled") != std::string::npos; }));
  farm.Write("line", line + "\n");

  const CliResult enrolled = machine.Enrol({"--file", farm / "line"});
  const auto finished = Steady::now();
  REQUIRE_MESSAGE(enrolled.status == 0, enrolled.err);
  CHECK(enrolled.out.find("agent gpu-1") != std::string::npos);
  const bool seen = Farm::Until([&] { return IsConnected(farm, "gpu-1"); });
  REQUIRE_MESSAGE(seen, daemon.err());
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(Steady::now() - finished);
  MESSAGE("seen after " << took.count() << " ms");
  CHECK(took < std::chrono::milliseconds(1000));

  CHECK(AgentNamed(farm, "gpu-1")["labels"] == json({"a100", "nvme", "rack-3"}));
  CHECK(fs::exists(machine.State() + "/agent.key"));
  CHECK_FALSE(fs::exists(machine.State() + "/enrol.key"));
  farm.Write("work/furrow.yaml", "name: w\njobs: { a: { labels: [rack-3], steps: [{run: echo hello}] } }\n");
  CHECK(farm.Furrow({"run", farm / "work"}).status == 0);
}

}  // namespace furrow
