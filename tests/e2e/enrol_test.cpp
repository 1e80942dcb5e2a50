// Machines that join with a line of `furrow enrol new`, with the real programs: who gets in, who does not and why.
#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
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

TEST_CASE("enrol: a line is used up, expired, revoked, changed or cut: each is told apart, and nothing stays behind") {
  Farm farm({.agents = 0});
  const auto refused = [&](const std::string& line, const std::string& name, int status, const char* words) {
    Machine machine(farm, name, "name: " + name + "\n");
    farm.Write("line", line);
    const CliResult result = machine.Enrol({"--file", farm / "line"});
    CAPTURE(result.err);
    CHECK(result.status == status);
    CHECK(result.err.find(words) != std::string::npos);
    CHECK_FALSE(fs::exists(machine.State()));
  };
  const std::string line = NewLine(farm);
  {
    Machine first(farm, "gpu-1", "name: gpu-1\n");
    CHECK(first.Enrol({line}).status == 0);
    const CliResult again = first.Enrol({NewLine(farm)});
    CHECK(again.status == 3);
    CHECK(again.err.find("--replace") != std::string::npos);
  }
  refused(line, "gpu-2", 14, "used up");
  refused(NewLine(farm, {"--expires", "1ms"}), "gpu-2", 13, "expired");
  refused(line.substr(0, line.size() - 6), "gpu-2", 2, "not whole");
  refused("", "gpu-2", 2, "no enrolment line");

  const std::string revoked = NewLine(farm, {"--uses", "3"});
  const json list = json::parse(farm.Furrow({"--json", "enrol", "list"}).out)["enrolments"];
  CHECK(farm.Furrow({"enrol", "revoke", list[0]["id"].get<std::string>()}).status == 0);
  refused(revoked, "gpu-2", 11, "revoked");

  Machine other(farm, "gpu-9", "name: gpu-1\n");
  farm.Write("line", NewLine(farm));
  const CliResult taken = other.Enrol({"--file", farm / "line"});
  CHECK(taken.status == 15);
  CHECK(taken.err.find("--name") != std::string::npos);
  CHECK(other.Enrol({"--file", farm / "line", "--name", "gpu-9"}).status == 0);  // that refusal cost no use
}

TEST_CASE("enrol: who cannot reach the controller is told what is in the way") {
  Farm farm({.agents = 0});
  const std::string state = json::parse(farm.Read("state/farm.json"))["control"];
  const std::string control = state.substr(state.find(':') + 1);
  const auto unreached = [&](const std::string& address, int status) {
    Machine machine(farm, "gpu-1", "name: gpu-1\n");
    const CliResult result = machine.Enrol({NewLine(farm, {"--address", address})});
    CAPTURE(result.err);
    CHECK(result.status == status);
    CHECK_FALSE(fs::exists(machine.State()));
  };
  unreached("no-such-host.invalid", 30);
  unreached("127.0.0.1:1", 33);
  unreached("127.0.0.1:" + control, 36);
}

TEST_CASE("enrol: a line of another controller at the same address is refused by its key") {
  Farm farm({.agents = 0}), other({.agents = 0});
  const std::string enrol = json::parse(farm.Read("state/farm.json"))["enrol"];
  Machine machine(farm, "gpu-1", "name: gpu-1\n");
  const CliResult result = machine.Enrol({NewLine(other, {"--address", enrol})});
  CAPTURE(result.err);
  CHECK(result.status == 35);
  CHECK_FALSE(fs::exists(machine.State()));
}

TEST_CASE("keys: a revoked agent is dropped at once, learns it, and its line in the allowlist goes alone") {
  Farm farm({.agents = 1});
  const std::string before = farm.Read("state/allowlist");
  farm.Write("state/allowlist.new", "# our machines\n" + before + "# the end\n");
  fs::rename(farm / "state/allowlist.new", farm / "state/allowlist");
  Machine machine(farm, "gpu-1", "name: gpu-1\n");
  const std::string line = NewLine(farm);
  REQUIRE(machine.Enrol({line}).status == 0);
  Background& daemon = machine.Start();
  REQUIRE(Farm::Until([&] { return IsConnected(farm, "gpu-1"); }));

  const CliResult revoked = farm.Furrow({"keys", "revoke", "gpu-1"});
  REQUIRE_MESSAGE(revoked.status == 0, revoked.err);
  CHECK(revoked.out.find("agent gpu-1") != std::string::npos);
  const json agent = AgentNamed(farm, "gpu-1");
  CHECK(agent["connected"] == false);
  CHECK(agent["note"] == "its key is revoked");
  CHECK(farm.Read("state/allowlist").starts_with("# our machines\n"));
  CHECK(farm.Read("state/allowlist").ends_with("# the end\n"));
  CHECK(farm.Read("state/allowlist").find("gpu-1") == std::string::npos);
  CHECK(Farm::Until([&] { return daemon.err().find("agent's key in: it was revoked") != std::string::npos; }));
  CHECK(IsConnected(farm, "agent-1"));

  farm.StopController();  // and for good
  farm.StartController();
  const json keys = json::parse(farm.Furrow({"--json", "keys"}).out)["keys"];
  CHECK(std::none_of(keys.begin(), keys.end(), [](const json& key) { return key["name"] == "gpu-1"; }));
  CHECK(machine.Enrol({"--replace", NewLine(farm)}).status == 1);  // the daemon runs
  daemon.Signal(SIGTERM);
  daemon.Wait();
  CHECK(machine.Enrol({"--replace", line}).status == 14);
  CHECK(machine.Enrol({"--replace", NewLine(farm)}).status == 0);
}

TEST_CASE("enrol: a copied machine is refused while the first lives, with a word on both sides") {
  Farm farm({.agents = 0, .controller_yaml = "agents: { heartbeat: 300ms, lease: 5s }\n"});
  Machine first(farm, "first", "name: gpu-1\n"), copy(farm, "copy", "name: gpu-1\n");
  REQUIRE(first.Enrol({NewLine(farm)}).status == 0);
  first.Start();
  REQUIRE(Farm::Until([&] { return IsConnected(farm, "gpu-1"); }));
  fs::create_directories(copy.State());
  for (const char* file : {"agent.key", "agent.key.pub", "farm.json", "incarnation"})
    fs::copy_file(first.State() + "/" + file, copy.State() + "/" + file);
  // On one machine the copy looks like a restart: it takes over once, and then the first one is refused for good.
  Background& second = copy.Start();
  REQUIRE(Farm::Until([&] { return second.err().find("registered") != std::string::npos; }));
  CHECK(Farm::Until([&] { return first.daemon().err().find("another furrow-agent") != std::string::npos; }));
  CHECK(Farm::Until([&] {
    const json agent = AgentNamed(farm, "gpu-1");
    return agent.is_object() && agent["note"].get<std::string>().find("refused") != std::string::npos;
  }));
  CHECK(IsConnected(farm, "gpu-1"));
  copy.daemon().Signal(SIGTERM);
  copy.daemon().Wait();
  REQUIRE(copy.Enrol({"--replace", "--name", "gpu-2", NewLine(farm)}).status == 0);
  farm.Write("copy.yaml", "state: " + copy.State() + "\nname: gpu-2\noffer: { gpus: none }\n");
  copy.Start();
  CHECK(Farm::Until([&] { return IsConnected(farm, "gpu-1") && IsConnected(farm, "gpu-2"); }));
}

}  // namespace furrow
