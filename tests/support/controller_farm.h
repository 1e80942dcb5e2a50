// A controller's state with agents and runs, for tests of its reactors: what a test needs before it acts is
// one line. What these helpers cause is taken out of the outbox by them, so that it holds the act's effects only.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include "common/hash.h"
#include "controller/reactor.h"
#include "controller/transitions.h"
#include "tests/support/fake_outbox.h"

namespace furrow::testing {

using std::chrono::milliseconds;
using std::chrono::seconds;

inline constexpr PeerId kAlice = 900;  // a client

inline Offer Cpus(std::uint32_t count) {
  Offer offer;
  offer.cpu_milli = count * 1000;
  offer.memory_bytes = 8ull << 30;
  return offer;
}

inline JobSpec MakeJob(const std::string& name, std::vector<std::string> needs = {}, std::uint32_t shards = 1) {
  JobSpec job;
  job.name = name;
  job.needs = std::move(needs);
  job.shards = shards;
  job.steps = {{"step", ExecStep{{"/bin/true"}}}};
  return job;
}

inline Pipeline MakePipeline(std::vector<JobSpec> jobs) {
  return {"fashion", std::nullopt, std::move(jobs)};
}

inline Uuid Machine(const std::string& name) {
  return {std::hash<std::string>{}(name), 1};
}

class ControllerFarm {
 public:
  ControllerFarm() {
    state.software = "furrow-controller test";
    state.boot = 1;
  }
  ~ControllerFarm() { state.CheckInvariants(); }

  State state;
  FakeOutbox out;
  Now now{TimePoint{seconds(1000)}, WallTime{1'000'000}};

  void Pass(Duration span) {
    now.mono = now.mono + span;
    now.wall = WallTime{static_cast<std::int64_t>(now.wall) + span / milliseconds(1)};
  }

  Register Registration(const std::string& name, Offer offer, std::vector<HeldAttempt> held = {}) const {
    Register message;
    message.oldest_version = message.newest_version = 1;
    message.software = "furrow-agent test";
    message.host = name + ".example";
    message.incarnation = Machine(name);
    message.nonce = 7;
    message.offer = std::move(offer);
    message.held = std::move(held);
    return message;
  }

  // A connected agent. Returns its peer; Session(name) is its session.
  PeerId Connect(const std::string& name, Offer offer = Cpus(2)) {
    const PeerId peer = ++last_peer_;
    OnRegister(state, out, now, peer, name, Registration(name, std::move(offer)));
    out.Stored<AgentRecord>();
    out.ToAgent<Welcome>(peer);
    CHECK(out.empty());
    return peer;
  }
  SessionId Session(const std::string& name) const { return state.agents.at(name).session->id; }
  PeerId Peer(const std::string& name) const { return state.agents.at(name).session->peer; }

  Run& Accept(Pipeline pipeline) {
    Run& run = AcceptRun(state, out, now, Uuid{1, ++requests_}, std::move(pipeline), Hash{}, SourceInfo{});
    StartRun(state, now, run);
    out.Stored<RunRecord>();
    return run;
  }

  Job& JobOf(Run& run, const std::string& name, std::uint32_t shard = 0) {
    for (JobGroup& group : run.groups)
      if (group.spec->name == name) return run.jobs[group.first + shard];
    FAIL("no such job: " << name);
    return run.jobs.front();
  }
  JobState StateOf(Run& run, const std::string& name, std::uint32_t shard = 0) { return JobOf(run, name, shard).state; }

  // Plans and forgets what that stored and sent.
  void Plan() {
    EndTurn(state, out, now);
    out.Clear();
    state.CheckInvariants();
  }

  // What an agent says of a job that it holds and that took a second.
  Finished Report(const Job& job, std::int32_t code = 0) const {
    Finished message;
    message.session = Session(job.agent);
    message.attempt = job.attempt();
    message.outcome.code = code;
    message.started = WallTime{static_cast<std::int64_t>(now.wall) - 1000};
    message.ended = now.wall;
    message.log_hash = HashOf("");
    return message;
  }
  Status Tell(const std::string& agent, const Finished& message) {
    return OnFinished(state, out, now, Peer(agent), agent, message);
  }
  // The job ends on its agent, with these newest metrics; effects are dropped.
  void Finish(Job& job, std::int32_t code = 0, std::vector<std::pair<std::string, double>> metrics = {},
              Hash artifacts = {}) {
    Finished message = Report(job, code);
    message.artifacts = artifacts;
    if (!metrics.empty()) message.metrics.push_back({0, now.wall, std::move(metrics)});
    REQUIRE(Tell(job.agent, message).has_value());
    out.Clear();
    state.CheckInvariants();
  }
  // The attempt ends as if its agent had said so, with this outcome.
  void End(Job& job, OutcomeKind kind, std::int32_t code = 0) {
    Finished message = Report(job, code);
    message.outcome.kind = kind;
    REQUIRE(Tell(job.agent, message).has_value());
    out.Clear();
    state.CheckInvariants();
  }

  void Beat(const std::string& agent, std::vector<HeldAttempt> held) {
    Heartbeat message{Session(agent), ++beats_, std::move(held)};
    CHECK(OnHeartbeat(state, out, now, Peer(agent), agent, message).has_value());
    CHECK(out.ToAgent<HeartbeatAck>(Peer(agent)).sequence == beats_);
  }

 private:
  PeerId last_peer_ = 0;
  std::uint64_t requests_ = 0;
  std::uint64_t beats_ = 0;
};

}  // namespace furrow::testing
