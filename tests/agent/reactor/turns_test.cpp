#include "agent/reactor/turns.h"

#include <algorithm>

#include "agent/reactor/job_start.h"
#include "tests/support/agent_farm.h"

using namespace furrow;
using namespace furrow::testing;

namespace {

// Notes what is carried out, in order.
class NotedPorts final : public AgentPorts {
 public:
  void KeepLease(TimePoint) override { noted.emplace_back("lease file"); }
  Status TellRunner(const runner::Request& request) override {
    if (refuse_starts && std::holds_alternative<runner::Start>(request)) return Fail(Errc::kInvalid, "too large");
    static constexpr const char* kNames[] = {"start", "kill", "forget", "list", "shutdown", "lease"};
    noted.emplace_back(kNames[request.index()]);
    return {};
  }
  void FlushRunner() override { noted.emplace_back("flush"); }
  void TellWorkspace(WorkspaceCommand) override { noted.emplace_back("workspace"); }
  void TellUploader(UploadCommand) override { noted.emplace_back("upload"); }
  bool TellController(const std::string& frame) override {
    noted.emplace_back("controller");
    frames.push_back(frame);
    return !full;
  }
  void RemoveLeftovers(const std::set<std::string>& held) override {
    noted.emplace_back("leftovers");
    kept = held;
  }
  void Complain(const std::string& what) override { noted.push_back("complaint: " + what); }

  std::vector<std::string> Take() { return std::exchange(noted, {}); }

  std::vector<std::string> noted;
  std::vector<std::string> frames;
  std::set<std::string> kept;
  bool refuse_starts = false;
  bool full = false;
};

using Words = std::vector<std::string>;

// An agent that is welcome, with its loop's turns and their ports.
struct Loop {
  AgentFarm farm;
  AgentOutbox out;
  AgentTurns turns;
  NotedPorts ports;

  Loop() {
    turns.OnRunnerConnected(out);
    Hear(runner::Listing{});
    End();
    CHECK(farm.Hear(Welcome{kSession, farm.state.nonce, 1, 2000, 30000}).has_value());
    farm.out.Clear();
    ports.noted.clear();
    ports.frames.clear();
  }
  void Hear(const runner::Event& event) {
    turns.OnRunnerEvent(farm.state, out, farm.now, ports, event, /*holds=*/true);
  }
  void Assigned(const Assign& assign) { REQUIRE(OnControllerMessage(farm.state, out, farm.now, assign).has_value()); }
  void End() { turns.EndTurn(farm.state, out, farm.now, ports); }
};

}  // namespace

TEST_CASE("turns: the lease is on file before the runner hears of it, and the runner before the controller") {
  Loop loop;
  loop.out.to_controller.emplace_back(Started{kSession, Attempt(1), WallTime{1}});
  loop.out.uploads.emplace_back(FinishLog{Attempt(1), 1});
  loop.out.workspace.emplace_back(CancelPrepare{Attempt(1)});
  loop.out.runner.emplace_back(runner::Forget{Attempt(1)});
  loop.out.lease_until = loop.farm.now.mono;
  loop.End();
  CHECK(loop.ports.Take() == Words{"lease file", "lease", "forget", "flush", "workspace", "upload", "controller"});
  CHECK(loop.out.empty());
}

TEST_CASE("turns: requests to a runner that is gone are dropped, and the next Listing brings them about again") {
  Loop loop;
  loop.Assigned(MakeAssign(Attempt(1)));
  CHECK(loop.turns.OnRunnerLost(loop.farm.state, loop.out) == AgentTurns::AfterRunner::kConnect);
  loop.out.runner.emplace_back(runner::Forget{Attempt(9)});
  loop.End();
  CHECK(loop.ports.Take().empty());
  loop.turns.OnRunnerConnected(loop.out);
  loop.End();
  CHECK(loop.ports.Take() == Words{"list", "flush"});
  loop.Hear(runner::Listing{});
  loop.End();
  CHECK(loop.ports.Take() == Words{"lease file", "lease", "start", "flush"});
}

TEST_CASE("turns: a Start that the runner cannot take fails its job in the same turn") {
  Loop loop;
  loop.ports.refuse_starts = true;
  loop.Assigned(MakeAssign(Attempt(1)));
  loop.End();
  CHECK(loop.ports.Take() == Words{"complaint: runner: too large", "flush", "controller"});
  const auto message = DecodeAgentMessage(loop.ports.frames.at(0));
  REQUIRE(message.has_value());
  CHECK(std::get<Finished>(*message).outcome.detail == "too large");
}

TEST_CASE("turns: a message that breaks a cap goes back to the reactor, which leaves out what cannot travel") {
  Loop loop;
  loop.Assigned(MakeAssign(Attempt(1)));
  loop.Hear(runner::Started{Attempt(1), 10, loop.farm.now.wall});
  loop.End();
  loop.ports.Take();
  MetricsRead read{Attempt(1), 0, {{1, {}, {{std::string(kMaxMetricNameBytes + 1, 'n'), 1.0}}}}, ""};
  On(loop.farm.state, loop.out, loop.farm.now, read);
  loop.End();
  const Words noted = loop.ports.Take();
  REQUIRE(noted.size() == 2);
  CHECK(noted[0].starts_with("complaint: "));
  CHECK(noted[1] == "controller");
  const auto report = DecodeAgentMessage(loop.ports.frames.back());
  REQUIRE(report.has_value());
  CHECK(std::get<MetricsReport>(*report).lines.at(0).values.empty());
}

TEST_CASE("turns: a report that breaks a cap without its metrics ends the turn all the same") {
  Loop loop;
  loop.Assigned(MakeAssign(Attempt(1)));
  loop.Hear(runner::Started{Attempt(1), 10, loop.farm.now.wall});
  loop.Hear(loop.farm.Exit(Attempt(1)));
  On(loop.farm.state, loop.out, loop.farm.now, MetricsRead{Attempt(1), 0, {{1, {}, {{"loss", 1.0}}}}, ""});
  const std::string log(kSmallLogBytes + 1, 'x');
  On(loop.farm.state, loop.out, loop.farm.now, LogInline{Attempt(1), log, HashOf(log)});
  loop.End();
  CHECK(loop.out.empty());
  const Words noted = loop.ports.Take();
  CHECK(std::count_if(noted.begin(), noted.end(), [](const auto& one) { return one.starts_with("complaint"); }) == 2);
}

TEST_CASE("turns: when the controller's channel is full nothing more leaves for it in this turn") {
  Loop loop;
  loop.ports.full = true;
  for (int i = 0; i < 3; ++i) loop.out.to_controller.emplace_back(Started{kSession, Attempt(1), WallTime{1}});
  loop.End();
  CHECK(loop.ports.Take() == Words{"controller"});
  CHECK(loop.out.empty());
}

TEST_CASE("turns: what earlier processes left is removed once, before a job starts, except for what attempts hold") {
  AgentFarm farm;
  AgentOutbox out;
  AgentTurns turns;
  NotedPorts ports;
  turns.OnRunnerConnected(out);
  runner::Attempt running;
  running.ref = Attempt(3);
  running.running = true;
  running.blob = std::string("\x02\0\0\0", 4) + Encode(ToAgent{MakeAssign(Attempt(3))}).value();  // slot 2
  turns.OnRunnerEvent(farm.state, out, farm.now, ports, runner::Listing{{running}}, true);
  CHECK(ports.Take() == Words{"leftovers"});
  CHECK(ports.kept == std::set<std::string>{WorkspaceOf(farm.state.settings, 2), SpoolOf(farm.state.settings, 2),
                                            MetricsFileOf(farm.state.settings, 2)});
  turns.OnRunnerEvent(farm.state, out, farm.now, ports, runner::Listing{{running}}, true);
  CHECK(ports.Take().empty());
}

TEST_CASE("turns: a runner that ends again and again is given up, one that was heard meanwhile is not") {
  Loop loop;
  for (int i = 0; i < 20; ++i) {
    CHECK(loop.turns.OnRunnerLost(loop.farm.state, loop.out) == AgentTurns::AfterRunner::kConnect);
    loop.Hear(runner::Listing{});
  }
  for (int i = 0; i < 5; ++i)
    CHECK(loop.turns.OnRunnerLost(loop.farm.state, loop.out) == AgentTurns::AfterRunner::kConnect);
  CHECK(loop.turns.OnRunnerLost(loop.farm.state, loop.out) == AgentTurns::AfterRunner::kGiveUp);
}

TEST_CASE("turns: an agent that ends has its runner end the jobs, even if a runner dies of it") {
  Loop loop;
  loop.Assigned(MakeAssign(Attempt(1)));
  loop.Hear(runner::Started{Attempt(1), 10, loop.farm.now.wall});
  loop.End();
  loop.ports.Take();
  loop.turns.BeginEnd(loop.farm.state, loop.out, loop.farm.now);
  loop.End();
  CHECK(loop.ports.Take() == Words{"shutdown", "flush", "controller"});
  CHECK_FALSE(loop.turns.HasEnded(loop.farm.state, loop.farm.now, true));

  CHECK(loop.turns.OnRunnerLost(loop.farm.state, loop.out) == AgentTurns::AfterRunner::kConnect);
  loop.turns.OnRunnerConnected(loop.out);
  runner::Attempt lost;
  lost.ref = Attempt(1);
  lost.exited = loop.farm.Exit(Attempt(1), 0, runner::OutcomeKind::kLost);
  loop.Hear(runner::Listing{{lost}});
  loop.End();
  const Words noted = loop.ports.Take();
  CHECK(std::find(noted.begin(), noted.end(), "shutdown") != noted.end());
  CHECK(loop.turns.OnRunnerLost(loop.farm.state, loop.out) == AgentTurns::AfterRunner::kLetGo);
  CHECK_FALSE(loop.turns.HasEnded(loop.farm.state, loop.farm.now, true));  // its report is due
  CHECK(loop.turns.HasEnded(loop.farm.state, loop.farm.now, false));
  loop.farm.Pass(seconds(60));
  CHECK(loop.turns.HasEnded(loop.farm.state, loop.farm.now, true));
}
