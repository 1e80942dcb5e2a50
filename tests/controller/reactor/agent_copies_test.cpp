// Of two agents with one key one is a copy: which one has the session, and what becomes of the jobs of the other.
#include "controller/reactor/agents.h"
#include "tests/support/controller_farm.h"

using namespace furrow;
using namespace furrow::testing;

namespace {

// A registration of this machine, boot and process; the state folder is the agent's own.
Register From(const ControllerFarm& farm, std::uint64_t machine, std::uint64_t boot, std::uint64_t process,
              std::vector<HeldAttempt> held = {}) {
  Register message = farm.Registration("a", Cpus(2), std::move(held));
  message.host = "host-" + std::to_string(machine);
  message.machine = {1, machine};
  message.boot = {2, boot};
  message.process = {3, process};
  return message;
}

bool IsWelcome(ControllerFarm& farm, PeerId peer, const Register& message) {
  On(farm.state, farm.out, farm.now, {peer, "a"}, message);
  const bool welcome = std::holds_alternative<Welcome>(farm.out->to_agents.front().message);
  farm.out.Clear();
  return welcome;
}

// Hears the agent without anything else.
void Hear(ControllerFarm& farm) {
  farm.state.agents.at("a").link.heard = farm.now.mono;
}

}  // namespace

TEST_CASE("agents: a copy on another machine is refused while the first lives, on both sides with a word") {
  ControllerFarm farm;
  CHECK(IsWelcome(farm, 50, From(farm, 1, 1, 1)));
  On(farm.state, farm.out, farm.now, {60, "a"}, From(farm, 2, 2, 2));
  const auto refused = farm.out.ToAgent<Refused>(60);
  CHECK(refused.reason.find("host-1") != std::string::npos);
  CHECK(refused.reason.find("--replace") != std::string::npos);
  On(farm.state, farm.out, farm.now, {kAlice, 1}, ListAgents{});
  CHECK(farm.out.ToClient<AgentList>(kAlice, 1).agents.at(0).note.find("host-2") != std::string::npos);
  CHECK(farm.Peer("a") == 50);
  // When the copy gives up the word goes.
  for (int i = 0; i < 30; ++i) {
    farm.Pass(farm.state.settings.heartbeat);
    Hear(farm);
    OnTick(farm.state, farm.out, farm.now);
  }
  On(farm.state, farm.out, farm.now, {kAlice, 2}, ListAgents{});
  CHECK(farm.out.ToClient<AgentList>(kAlice, 2).agents.at(0).note.empty());
}

TEST_CASE("agents: moved to another machine with its state it comes in once the old session is silent") {
  ControllerFarm farm;
  CHECK(IsWelcome(farm, 50, From(farm, 1, 1, 1)));
  farm.Pass(farm.state.settings.heartbeat * 3);
  CHECK(IsWelcome(farm, 60, From(farm, 2, 2, 2)));
  CHECK(farm.Peer("a") == 60);
}

TEST_CASE("agents: a restarted agent comes in at once, and the process before it does not come back") {
  ControllerFarm farm;
  CHECK(IsWelcome(farm, 50, From(farm, 1, 1, 1)));
  CHECK(IsWelcome(farm, 60, From(farm, 1, 1, 2)));
  CHECK_FALSE(IsWelcome(farm, 70, From(farm, 1, 1, 1)));  // two that live would take turns for ever
  CHECK(IsWelcome(farm, 80, From(farm, 1, 1, 2)));        // the same one over a new connection
  CHECK(farm.Peer("a") == 80);
}

TEST_CASE("agents: a machine with the same id and another boot waits until the first is silent") {
  ControllerFarm farm;
  CHECK(IsWelcome(farm, 50, From(farm, 1, 1, 1)));
  CHECK_FALSE(IsWelcome(farm, 60, From(farm, 1, 2, 2)));
  farm.Pass(farm.state.settings.heartbeat * 3);
  CHECK(IsWelcome(farm, 60, From(farm, 1, 2, 2)));
}

TEST_CASE("agents: a copy that goes by a shorter lease does not shorten that of what it left behind") {
  ControllerFarm farm;
  Settings& settings = farm.state.settings;
  CHECK(IsWelcome(farm, 50, From(farm, 1, 1, 1)));
  Run& run = farm.Accept(MakePipeline({MakeJob("job")}));
  farm.Plan();
  const Job& job = farm.JobOf(run, "job");
  const Duration first = settings.lease;
  settings.lease = seconds(30);
  farm.Pass(settings.heartbeat * 3);
  On(farm.state, farm.out, farm.now, {60, "a"}, From(farm, 2, 2, 2));
  farm.out.Clear();
  farm.SendHeartbeat("a", {});
  farm.Pass(first - settings.heartbeat * 3);
  OnTick(farm.state, farm.out, farm.now);
  farm.out.Clear();
  CHECK(job.OnAgent());
}

TEST_CASE("agents: what another machine with this key may still run is not given out before its lease is over") {
  ControllerFarm farm;
  CHECK(IsWelcome(farm, 50, From(farm, 1, 1, 1)));
  Run& run = farm.Accept(MakePipeline({MakeJob("job")}));
  farm.Plan();
  const Job& job = farm.JobOf(run, "job");
  REQUIRE(job.agent == "a");
  farm.Pass(farm.state.settings.heartbeat * 3);  // the network of the first is gone; the copy comes
  On(farm.state, farm.out, farm.now, {60, "a"}, From(farm, 2, 2, 2));
  farm.out.Stored<AgentRecord>();
  farm.out.ToAgent<Welcome>(60);
  CHECK(farm.out.empty());  // no Assign: it would run twice
  farm.Pass(farm.state.settings.lease);
  Hear(farm);
  OnTick(farm.state, farm.out, farm.now);
  CHECK(job.OnAgent());
  farm.Pass(farm.state.settings.WithMargin(farm.state.settings.lease) - farm.state.settings.lease);
  Hear(farm);
  OnTick(farm.state, farm.out, farm.now);
  CHECK_FALSE(job.OnAgent());
  farm.out.Clear();
}

TEST_CASE("agents: after a reboot what the agent still holds stays as it is") {
  ControllerFarm farm;
  CHECK(IsWelcome(farm, 50, From(farm, 1, 1, 1)));
  Run& run = farm.Accept(MakePipeline({MakeJob("job")}));
  farm.Plan();
  const Job& job = farm.JobOf(run, "job");
  farm.Pass(farm.state.settings.heartbeat * 3);
  CHECK(IsWelcome(farm, 60, From(farm, 1, 2, 2, {{job.attempt(), Phase::kReporting}})));
  CHECK(job.OnAgent());
  CHECK(farm.state.agents.at("a").link.orphaned.empty());
}
