#include "controller/reactor/dispatcher.h"

#include "common/wire/unreadable.h"
#include "schemas/agent.h"
#include "schemas/client.h"
#include "tests/support/controller_farm.h"

using namespace furrow;
using namespace furrow::testing;

namespace {

Incoming From(Role role, PeerId peer, const std::string& name, std::string payload) {
  return {peer, Identity{role, name}, std::move(payload)};
}

}  // namespace

TEST_CASE("dispatcher: a frame reaches its handler") {
  ControllerFarm farm;
  const Register message = farm.Registration("a", Cpus(1));
  CHECK(Dispatch(farm.state, farm.out, farm.now, From(Role::kAgent, 4, "a", Encode(AgentMessage(message)).value())));
  CHECK(farm.out.ToAgent<Welcome>(4).session == farm.Session("a"));
  farm.out.Stored<AgentRecord>();
  CHECK(farm.out.empty());
  CHECK(Dispatch(farm.state, farm.out, farm.now,
                 From(Role::kClient, 5, "alice", Encode(12, ClientRequest{Ping{}}).value())));
  CHECK(farm.out.ToClient<Pong>(5, 12).agents_connected == 1);
  CHECK(farm.out.empty());
}

TEST_CASE("dispatcher: an agent's name is that of its key, whatever it says") {
  ControllerFarm farm;
  farm.Connect("a");
  const PeerId mallory = farm.Connect("mallory");
  const Heartbeat stolen{farm.Session("a"), 1, {}};
  CHECK_FALSE(DispatchAgent(farm.state, farm.out, farm.now, {mallory, "mallory"}, stolen).has_value());
  CHECK(farm.out.ToAgent<Reregister>(mallory).session == stolen.session);
  CHECK(farm.out.empty());
  CHECK(farm.Peer("a") != mallory);
}

TEST_CASE("dispatcher: every message of a session that is over is answered with Reregister and changes nothing") {
  ControllerFarm farm;
  const PeerId peer = farm.Connect("a");
  Run& run = farm.Accept(MakePipeline({MakeJob("test")}));
  farm.Plan();
  const SessionId old = farm.Session("a");
  const AttemptRef attempt = run.jobs[0].attempt();
  Finished finished = farm.Report(run.jobs[0]);
  On(farm.state, farm.out, farm.now, {peer, "a"}, farm.Registration("a", Cpus(2), {{attempt, Phase::kPreparing}}));
  farm.out.Clear();
  for (const AgentMessage& message :
       {AgentMessage{Heartbeat{old, 1, {}}}, AgentMessage{Started{old, attempt, WallTime{1}}},
        AgentMessage{MetricsReport{old, attempt, 0, {{0, WallTime{1}, {{"loss", 1}}}}}}, AgentMessage{finished}}) {
    CHECK_FALSE(DispatchAgent(farm.state, farm.out, farm.now, {peer, "a"}, message).has_value());
    CHECK(farm.out.ToAgent<Reregister>(peer).session == old);
    CHECK(farm.out.empty());
  }
  CHECK(run.jobs[0].state == JobState::kAssigned);
}

TEST_CASE("dispatcher: a message proves that its agent lives, and moves its session to the new connection") {
  ControllerFarm farm;
  farm.Connect("a");
  farm.Pass(seconds(9));
  CHECK(DispatchAgent(farm.state, farm.out, farm.now, {77, "a"}, Heartbeat{farm.Session("a"), 1, {}}));
  CHECK(farm.out.ToAgent<HeartbeatAck>(77).sequence == 1);
  CHECK(farm.state.agents.at("a").link.heard == farm.now.mono);
  CHECK(farm.Peer("a") == 77);
  CHECK(farm.out.empty());
}

TEST_CASE("dispatcher: a client cannot speak as an agent, nor an agent as a client") {
  ControllerFarm farm;
  const std::string registration = Encode(AgentMessage{farm.Registration("a", Cpus(1))}).value();
  CHECK_FALSE(Dispatch(farm.state, farm.out, farm.now, From(Role::kClient, 5, "alice", registration)).has_value());
  CHECK(farm.state.agents.empty());
  farm.out.ToClient<Failure>(5, RequestNumberOf(registration));
  Submit submit;
  submit.text = "jobs: {}";
  const std::string ping = Encode(1, ClientRequest{submit}).value();
  CHECK_FALSE(Dispatch(farm.state, farm.out, farm.now, From(Role::kAgent, 6, "a", ping)).has_value());
  CHECK(farm.state.runs.empty());
  CHECK(farm.out.ToAgent<Refused>(6).nonce == 0);
  CHECK(farm.out.empty());
}

TEST_CASE("dispatcher: garbage is refused, to a client under its number where that can be read") {
  ControllerFarm farm;
  CHECK_FALSE(Dispatch(farm.state, farm.out, farm.now, From(Role::kAgent, 6, "a", "garbage")).has_value());
  CHECK(farm.out.ToAgent<Refused>(6).reason.find("could not be read") != std::string::npos);
  CHECK(farm.out.empty());
  CHECK_FALSE(Dispatch(farm.state, farm.out, farm.now, From(Role::kClient, 5, "alice", "garbage")).has_value());
  CHECK(farm.out.ToClient<Failure>(5, 0).code == Errc::kInvalid);
  CHECK(farm.out.empty());
}
