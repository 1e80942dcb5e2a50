// Holds a controller's state with agents and runs, for tests of its reactors: one line makes what a test needs before
// it acts. The helpers take their own effects out of the outbox, so that it holds only the effects of the act under
// test.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "common/base/hash.h"
#include "controller/reactor/reactor.h"
#include "controller/reactor/transitions.h"
#include "tests/support/fake_outbox.h"

namespace furrow::testing {

using std::chrono::milliseconds;
using std::chrono::seconds;

inline constexpr PeerId kAlice = 900;  // a client

Offer Cpus(std::uint32_t count);
JobSpec MakeJob(const std::string& name, std::vector<std::string> needs = {}, std::uint32_t shards = 1);
Pipeline MakePipeline(std::vector<JobSpec> jobs);
Uuid Machine(const std::string& name);

class ControllerFarm {
 public:
  ControllerFarm();
  ~ControllerFarm();

  State state;
  FakeOutbox out;
  Now now{TimePoint{seconds(1000)}, WallTime{1'000'000}};

  void Pass(Duration span);

  Register Registration(const std::string& name, Offer offer, std::vector<HeldAttempt> held = {}) const;
  // Connects an agent and returns its peer; Session(name) is its session.
  PeerId Connect(const std::string& name, Offer offer = Cpus(2));
  SessionId Session(const std::string& name) const { return state.agents.at(name).link.session->id; }
  PeerId Peer(const std::string& name) const { return state.agents.at(name).link.session->peer; }

  Run& Accept(Pipeline pipeline);
  Run& AcceptAs(Uuid request, Pipeline pipeline, const Hash& source = {});  // keeps the effects
  // Plays the thread that prepares pipeline files: hands in the submissions that wait.
  void PrepareFiles();
  void Submit(const Asker& asker, const furrow::Submit& request);
  // Returns what history would find for a retry of this run.
  RetryFound Found(const Asker& asker, const Retry& request, const Run& run) const;
  Job& JobOf(Run& run, const std::string& name, std::uint32_t shard = 0);
  JobState StateOf(Run& run, const std::string& name, std::uint32_t shard = 0) { return JobOf(run, name, shard).state; }

  // Plans, and drops what the plan stored and sent.
  void Plan();

  // Returns an agent's Finished of a job that it holds and that took a second.
  Finished Report(const Job& job, std::int32_t code = 0) const;
  Status Tell(const std::string& agent, const Finished& message);
  // Ends the job on its agent, with these newest metrics, and drops the effects.
  void Finish(Job& job, std::int32_t code = 0, std::vector<Metric> metrics = {}, Hash artifacts = {});
  // Ends the attempt with this outcome, as if its agent had reported it.
  void End(Job& job, OutcomeKind kind, std::int32_t code = 0);

  void SendHeartbeat(const std::string& agent, std::vector<HeldAttempt> held);

 private:
  PeerId last_peer_ = 0;
  std::uint64_t requests_ = 0;
  std::uint64_t heartbeats_ = 0;
};

}  // namespace furrow::testing
