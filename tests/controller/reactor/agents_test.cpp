#include "controller/reactor/agents.h"

#include "controller/scheduler/explain.h"
#include "tests/support/controller_farm.h"

using namespace furrow;
using namespace furrow::testing;

namespace {

// Two agents, a job of two shards, one on each.
struct TwoJobs : ControllerFarm {
  TwoJobs() {
    a = Connect("a", Cpus(1));
    b = Connect("b", Cpus(1));
    run = &Accept(MakePipeline({MakeJob("test", {}, 2)}));
    Plan();
    on_a = run->jobs[0].agent == "a" ? &run->jobs[0] : &run->jobs[1];
    on_b = on_a == &run->jobs[0] ? &run->jobs[1] : &run->jobs[0];
  }
  // The agent registers again over a new connection.
  PeerId Again(const std::string& name, std::vector<HeldAttempt> held, Uuid incarnation, Uuid process = {}) {
    Register message = Registration(name, Cpus(1), std::move(held));
    message.incarnation = incarnation;
    message.process = process;
    On(state, out, now, {100, name}, message);
    return 100;
  }
  PeerId a = 0;
  PeerId b = 0;
  Run* run = nullptr;
  Job* on_a = nullptr;
  Job* on_b = nullptr;
};

}  // namespace

TEST_CASE("agents: a registration is answered with a session of its own, and recorded") {
  ControllerFarm farm;
  On(farm.state, farm.out, farm.now, {5, "a"}, farm.Registration("a", Cpus(3)));
  const auto record = farm.out.Stored<AgentRecord>();
  CHECK(record.name == "a");
  CHECK(record.host == "a.example");
  CHECK(record.offer == Cpus(3));
  const auto welcome = farm.out.ToAgent<Welcome>(5);
  CHECK(welcome.session == farm.Session("a"));
  CHECK(welcome.nonce == 7);
  CHECK(welcome.version == 1);
  CHECK(welcome.heartbeat_ms == 5000);
  CHECK(welcome.lease_ms == 600000);
  CHECK(farm.out.empty());

  On(farm.state, farm.out, farm.now, {5, "a"}, farm.Registration("a", Cpus(3)));
  farm.out.Stored<AgentRecord>();
  CHECK(farm.out.ToAgent<Welcome>(5).session != welcome.session);
  CHECK(farm.state.sessions.size() == 1);
  CHECK(farm.out.empty());
}

TEST_CASE("agents: versions without overlap are refused, with the side to upgrade") {
  ControllerFarm farm;
  Register message = farm.Registration("a", Cpus(1));
  message.oldest_version = 2;
  message.newest_version = 3;
  On(farm.state, farm.out, farm.now, {5, "a"}, message);
  const auto refused = farm.out.ToAgent<Refused>(5);
  CHECK(refused.nonce == 7);
  CHECK(refused.reason.find("speaks protocol 1") != std::string::npos);
  CHECK(refused.reason.find("2 to 3") != std::string::npos);
  CHECK(refused.retry_ms == 60000);
  message.oldest_version = message.newest_version = 0;
  On(farm.state, farm.out, farm.now, {5, "a"}, message);
  farm.out.ToAgent<Refused>(5);
  message.newest_version = 9;  // an agent that speaks ours among others
  On(farm.state, farm.out, farm.now, {5, "a"}, message);
  CHECK(farm.out.ToAgent<Welcome>(5).version == 1);
  farm.out.Clear();
}

TEST_CASE("agents: no more of them than the settings allow") {
  ControllerFarm farm;
  farm.state.settings.max_agents = 1;
  farm.Connect("a");
  On(farm.state, farm.out, farm.now, {5, "b"}, farm.Registration("b", Cpus(1)));
  CHECK(farm.out.ToAgent<Refused>(5).reason.find("max_agents: 1") != std::string::npos);
  CHECK(farm.out.empty());
  CHECK(farm.state.agents.size() == 1);
}

TEST_CASE("agents: a second machine with the name of a connected one is refused until that one is silent") {
  TwoJobs farm;
  Register twin = farm.Registration("a", Cpus(1));
  twin.incarnation = Machine("twin");
  On(farm.state, farm.out, farm.now, {50, "a"}, twin);
  CHECK(farm.out.ToAgent<Refused>(50).reason.find("is connected from a.example") != std::string::npos);
  CHECK(farm.out.empty());
  CHECK(farm.Peer("a") == farm.a);
  farm.Pass(farm.state.settings.heartbeat * 3);
  On(farm.state, farm.out, farm.now, {50, "a"}, twin);
  farm.out.Stored<AgentRecord>();
  CHECK(farm.out.ToAgent<Welcome>(50).nonce == 7);
  farm.out.Clear();
}

TEST_CASE("agents: what a registering agent holds and is current stays as it is") {
  TwoJobs farm;
  const PeerId peer = farm.Again("a", {{farm.on_a->attempt(), Phase::kRunning}}, Machine("a"));
  farm.out.Stored<AgentRecord>();
  farm.out.ToAgent<Welcome>(peer);
  CHECK(farm.out.empty());
  CHECK(farm.on_a->state == JobState::kRunning);
  CHECK(farm.on_a->epoch == Epoch{1});
}

TEST_CASE("agents: what a registering agent lacks is sent again at once, under the same epoch") {
  TwoJobs farm;
  const PeerId peer = farm.Again("a", {}, Machine("a"));
  farm.out.Stored<AgentRecord>();
  const SessionId session = farm.out.ToAgent<Welcome>(peer).session;
  const auto assign = farm.out.ToAgent<Assign>(peer);
  CHECK(assign.attempt == farm.on_a->attempt());
  CHECK(assign.session == session);
  CHECK(farm.out.empty());
}

TEST_CASE("agents: stale and unknown attempts of a registering agent are forgotten") {
  TwoJobs farm;
  const AttemptRef stale{farm.on_a->id, Epoch{7}};
  const AttemptRef unknown{JobId{999}, Epoch{1}};
  const PeerId peer = farm.Again("a",
                                 {{farm.on_a->attempt(), Phase::kPreparing},
                                  {farm.on_b->attempt(), Phase::kRunning},
                                  {stale, Phase::kRunning},
                                  {unknown, Phase::kReporting}},
                                 Machine("a"));
  farm.out.Stored<AgentRecord>();
  farm.out.ToAgent<Welcome>(peer);
  for (const AttemptRef& ref : {farm.on_b->attempt(), stale, unknown}) {
    const auto kill = farm.out.ToAgent<Kill>(peer);
    CHECK(kill.attempt == ref);
    CHECK(kill.forget);
  }
  CHECK(farm.out.empty());
  CHECK(farm.on_b->agent == "b");
}

TEST_CASE("agents: another state folder means that what was on it is lost") {
  TwoJobs farm;
  farm.Pass(farm.state.settings.heartbeat * 3);
  const PeerId peer = farm.Again("a", {}, Machine("new disk"));
  farm.out.Stored<AgentRecord>();
  farm.out.ToAgent<Welcome>(peer);
  const auto attempt = farm.out.Stored<AttemptRecord>();
  CHECK(attempt.outcome.kind == OutcomeKind::kLost);
  CHECK(attempt.outcome.detail == "agent a came back without its state folder");
  CHECK(farm.out.Stored<JobRecord>().state == JobState::kReady);
  farm.out.Bulk<BulkLogFinal>();
  farm.out.Bulk<BulkRevoke>();
  CHECK(farm.out.empty());
  farm.Plan();
  CHECK(farm.on_a->epoch == Epoch{2});
}

TEST_CASE("agents: a heartbeat that lacks an attempt has it sent again, but not what may be on its way") {
  TwoJobs farm;
  farm.SendHeartbeat("a", {});
  CHECK(farm.out.empty());
  farm.Pass(farm.state.settings.heartbeat);
  farm.SendHeartbeat("a", {});
  CHECK(farm.out.ToAgent<Assign>(farm.a).attempt == farm.on_a->attempt());
  CHECK(farm.out.empty());
  farm.SendHeartbeat("a", {});  // told just now
  CHECK(farm.out.empty());
}

TEST_CASE("agents: what a new process of an agent does not know, though it ran there, is lost and not sent again") {
  for (const bool restarted : {true, false}) {
    CAPTURE(restarted);
    TwoJobs farm;
    const std::vector<HeldAttempt> held{{farm.on_a->attempt(), Phase::kRunning}};
    farm.Again("a", held, Machine("a"), Uuid{1, 1});
    REQUIRE(farm.on_a->state == JobState::kRunning);
    farm.out.Clear();
    const PeerId peer = farm.Again("a", {}, Machine("a"), restarted ? Uuid{1, 2} : Uuid{1, 1});
    if (restarted) {  // The attempt may still run until its lease is over, or turn up again.
      farm.out.ToAgent<Welcome>(peer);
      CHECK(farm.out->to_agents.empty());
      for (int i = 0; i < 200 && farm.on_a->attempts.empty(); ++i) {
        farm.Pass(farm.state.settings.heartbeat);
        farm.SendHeartbeat("a", {});
        CheckLeases(farm.state, farm.out, farm.now);
        for (const auto& sent : farm.out->to_agents) CHECK_FALSE(std::holds_alternative<Assign>(sent.message));
        farm.out.Clear();
      }
      REQUIRE(farm.on_a->attempts.size() == 1);
      CHECK(farm.on_a->attempts[0].outcome.kind == OutcomeKind::kLost);
      CHECK(farm.on_a->attempts[0].outcome.detail.find("without the records of its runner") != std::string::npos);
    } else {  // A word of before the start may have been overtaken.
      farm.out.ToAgent<Welcome>(peer);
      CHECK(farm.out.ToAgent<Assign>(peer).attempt == held[0].attempt);
    }
    farm.out.Clear();
  }
}

TEST_CASE("agents: a heartbeat says that an attempt runs where Started was lost") {
  TwoJobs farm;
  farm.SendHeartbeat("a", {{farm.on_a->attempt(), Phase::kRunning}});
  CHECK(farm.on_a->state == JobState::kRunning);
  CHECK(farm.on_a->started == farm.now.wall);
  CHECK(farm.out.empty());
}

TEST_CASE("agents: Kill is repeated while heartbeats show the attempt, and not once it reports") {
  TwoJobs farm;
  CancelJob(farm.state, farm.out, farm.now, *farm.run, *farm.on_a, "cancelled");
  CHECK(farm.out.Stored<JobRecord>().cancelling);
  CHECK_FALSE(farm.out.ToAgent<Kill>(farm.a).forget);
  farm.SendHeartbeat("a", {{farm.on_a->attempt(), Phase::kRunning}});
  CHECK(farm.out.empty());
  farm.Pass(farm.state.settings.heartbeat);
  farm.SendHeartbeat("a", {{farm.on_a->attempt(), Phase::kRunning}});
  CHECK(farm.out.ToAgent<Kill>(farm.a).attempt == farm.on_a->attempt());
  farm.Pass(farm.state.settings.heartbeat);
  farm.SendHeartbeat("a", {{farm.on_a->attempt(), Phase::kReporting}});
  CHECK(farm.out.empty());
}

TEST_CASE("agents: a cancelled attempt that never arrived ends without its agent") {
  TwoJobs farm;
  CancelJob(farm.state, farm.out, farm.now, *farm.run, *farm.on_a, "cancelled");
  farm.out.Clear();
  farm.Pass(farm.state.settings.heartbeat);
  farm.SendHeartbeat("a", {});
  CHECK(farm.on_a->state == JobState::kCancelled);
  CHECK(farm.out.Stored<AttemptRecord>().outcome.kind == OutcomeKind::kLost);
  farm.out.Clear();
}

TEST_CASE("agents: three silent heartbeats end a session; its jobs stay until the lease and its margin are over") {
  TwoJobs farm;
  const Settings& settings = farm.state.settings;
  const TimePoint from = farm.now.mono;
  farm.Pass(settings.heartbeat * 3);
  farm.SendHeartbeat("b", {{farm.on_b->attempt(), Phase::kRunning}});
  farm.state.agents.at("b").link.heard = farm.now.mono;
  OnTick(farm.state, farm.out, farm.now);
  CHECK(farm.out.empty());
  farm.Pass(milliseconds(1));
  OnTick(farm.state, farm.out, farm.now);
  CHECK(farm.out.Stored<AgentRecord>().name == "a");
  CHECK(farm.out.empty());
  CHECK_FALSE(farm.state.agents.at("a").link.session.has_value());
  CHECK(farm.on_a->agent == "a");

  CHECK(settings.WithMargin(settings.lease) >= settings.lease + settings.lease / 10 + settings.heartbeat);
  farm.now.mono = from + settings.WithMargin(settings.lease);
  farm.state.agents.at("b").link.heard = farm.now.mono;
  OnTick(farm.state, farm.out, farm.now);
  CHECK(farm.out.empty());
  CHECK(farm.on_a->agent == "a");
  farm.Pass(milliseconds(1));
  OnTick(farm.state, farm.out, farm.now);
  CHECK(farm.on_a->state == JobState::kReady);
  CHECK(farm.out.Stored<AttemptRecord>().outcome.detail == "agent a was not heard for 665 s");
  farm.out.Clear();
}

TEST_CASE("agents: a shorter lease counts when the longer one of before is over and the agent has heard of it") {
  TwoJobs farm;
  Settings& settings = farm.state.settings;
  const std::vector<HeldAttempt> held{{farm.on_a->attempt(), Phase::kRunning}};
  const auto again = [&] {
    farm.Again("a", held, Machine("a"));
    return farm.out.Stored<AgentRecord>().lease;
  };
  const auto stays_for = [&](Duration span) {
    farm.state.agents.at("a").link.heard = farm.now.mono;
    farm.Pass(span);
    farm.state.agents.at("b").link.heard = farm.now.mono;
    OnTick(farm.state, farm.out, farm.now);
    farm.out.Clear();
    return farm.on_a->agent == "a";
  };
  const milliseconds before = settings.lease;
  settings.lease = std::chrono::seconds(30);  // the controller was started again with another configuration
  CHECK(again() == before);
  farm.out.Clear();
  CHECK(stays_for(settings.WithMargin(before)));  // our Welcome may have been lost

  again();
  farm.out.Clear();
  farm.SendHeartbeat("a", held);
  CHECK(farm.out.empty());  // it goes by the longer one where that is not yet over
  farm.Pass(settings.WithMargin(before) + milliseconds(1));
  farm.SendHeartbeat("a", held);
  CHECK(farm.out.Stored<AgentRecord>().lease == settings.lease);
  CHECK(farm.out.empty());
  farm.SendHeartbeat("a", held);
  CHECK(farm.out.empty());
  CHECK(stays_for(settings.WithMargin(settings.lease)));
  CHECK_FALSE(stays_for(settings.WithMargin(settings.lease) + milliseconds(1)));

  settings.lease = before;
  CHECK(again() == before);
  farm.out.Clear();
}

TEST_CASE("agents: one that is not well keeps its jobs and gets no new ones until it is well") {
  ControllerFarm farm;
  const PeerId peer = farm.Connect("a", Cpus(1));
  const auto beat = [&](std::uint64_t sequence, std::string condition, std::vector<HeldAttempt> held) {
    const Heartbeat message{farm.Session("a"), sequence, std::move(held), 0, std::move(condition)};
    CHECK(On(farm.state, farm.out, farm.now, {peer, "a"}, message).has_value());
    farm.out.ToAgent<HeartbeatAck>(peer);
  };
  Run& run = farm.Accept(MakePipeline({MakeJob("test", {}, 2)}));
  farm.Plan();
  REQUIRE(run.jobs[0].OnAgent());
  beat(1, "its disk is nearly full", {{run.jobs[0].attempt(), Phase::kRunning}});
  farm.Finish(run.jobs[0]);
  farm.Plan();
  CHECK(run.jobs[1].state == JobState::kReady);
  CHECK(ExplainWait(farm.state, run.groups[0]).reason ==
        "no agent that could take it takes jobs; a: its disk is nearly full");
  On(farm.state, farm.out, farm.now, {kAlice, 7}, ListAgents{});
  CHECK(farm.out.ToClient<AgentList>(kAlice, 7).agents[0].note == "it gets no new jobs: its disk is nearly full");
  CHECK(farm.out.empty());

  farm.state.plan_needed = false;
  beat(2, "", {});
  CHECK(farm.state.plan_needed);
  farm.Plan();
  CHECK(run.jobs[1].OnAgent());
}

TEST_CASE("agents: repositories are looked at when it is time, and not again before the answer") {
  ControllerFarm farm;
  On(farm.state, farm.out, farm.now, {kAlice, 1}, WatchRepository{"/srv/fashion.git"});
  farm.out.Clear();
  farm.Pass(farm.state.settings.repository_poll);
  OnTick(farm.state, farm.out, farm.now);
  CHECK(farm.out.empty());  // the first look is not answered
  On(farm.state, farm.out, farm.now, RefsListed{"/srv/fashion.git", Fail(Errc::kUnavailable, "no network")});
  farm.out.ToClient<Failure>(kAlice, 1);
  CHECK(farm.out.Warning().find("no network") != std::string::npos);
  CHECK(farm.out.empty());
  OnTick(farm.state, farm.out, farm.now);
  CHECK(farm.out.Git<LookAtRefs>().repository == "/srv/fashion.git");
  OnTick(farm.state, farm.out, farm.now);
  CHECK(farm.out.empty());
}

TEST_CASE("agents: new settings apply to what comes, but not to the promises that agents were given") {
  ControllerFarm farm;
  Settings settings = farm.state.settings;
  settings.max_agents = 0;
  settings.lease = std::chrono::seconds(1);
  settings.heartbeat = std::chrono::milliseconds(1);
  const Settings before = farm.state.settings;

  OnSettings(farm.state, settings);

  CHECK(farm.state.settings.lease == before.lease);
  CHECK(farm.state.settings.heartbeat == before.heartbeat);
  CHECK(farm.state.plan_needed);
  On(farm.state, farm.out, farm.now, {5, "a"}, farm.Registration("a", Cpus(3)));
  CHECK(farm.out.ToAgent<Refused>(5).reason.find("max_agents: 0") != std::string::npos);
}

TEST_CASE("agents: one version of the protocol apart works both ways, two are refused with the side to upgrade") {
  const auto answer = [](ProtocolRange controller, ProtocolRange agent) -> ToAgent {
    ControllerFarm farm;
    farm.state.settings.protocol = controller;
    Register message = farm.Registration("a", Cpus(2));
    message.oldest_version = agent.oldest;
    message.newest_version = agent.newest;
    On(farm.state, farm.out, farm.now, {5, "a"}, message);
    ToAgent reply = farm.out->to_agents.front().message;
    farm.out.Clear();
    return reply;
  };
  CHECK(std::get<Welcome>(answer({1, 2}, {1, 1})).version == 1);
  CHECK(std::get<Welcome>(answer({1, 1}, {1, 2})).version == 1);
  CHECK(std::get<Welcome>(answer({2, 3}, {2, 3})).version == 3);
  CHECK(std::get<Refused>(answer({2, 3}, {1, 1})).reason.find("upgrade the agent") != std::string::npos);
  CHECK(std::get<Refused>(answer({1, 1}, {2, 3})).reason.find("upgrade the controller") != std::string::npos);
}

TEST_CASE("agents: one whose clock differs by more than 2 s is shown with that") {
  ControllerFarm farm;
  const PeerId peer = farm.Connect("a", Cpus(1));
  const auto note = [&](std::int64_t ahead_ms) {
    On(farm.state, farm.out, farm.now, {peer, "a"}, Heartbeat{farm.Session("a"), 1, {}, ahead_ms});
    farm.out.ToAgent<HeartbeatAck>(peer);
    On(farm.state, farm.out, farm.now, {9, 1}, ListAgents{});
    return farm.out.ToClient<AgentList>(9, 1).agents.at(0).note;
  };
  CHECK(note(1'900).empty());
  CHECK(note(-300'000) == "its clock is 5 min behind the controller's");
  CHECK(note(2'500) == "its clock is 2.5 s ahead of the controller's");
}

TEST_CASE("agents: an assignment that an agent does not take in a while is lost, and given out anew") {
  ControllerFarm farm;
  farm.Connect("a");
  Run& run = farm.Accept(MakePipeline({MakeJob("one")}));
  farm.Plan();
  Job& job = farm.JobOf(run, "one");
  int repeated = 0;
  for (; job.attempts.empty(); ++repeated) {
    REQUIRE(repeated < 100);
    farm.Pass(farm.state.settings.heartbeat);
    farm.SendHeartbeat("a", {});
    farm.out.Clear();
  }
  CHECK(repeated > 50);
  CHECK(job.attempts[0].outcome.detail == "agent a (furrow-agent test) did not take it; see its log");
  CHECK(job.state == JobState::kReady);  // agent_lost retries it
}
