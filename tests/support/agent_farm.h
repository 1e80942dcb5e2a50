// Holds an agent's state with a session and jobs, for tests of its reactor. The helpers take their own effects out of
// the outbox, so that it holds only the effects of the act under test.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include "agent/reactor/reactor.h"
#include "common/base/hash.h"
#include "schemas/agent.h"
#include "tests/support/fake_agent_outbox.h"

namespace furrow::testing {

using std::chrono::milliseconds;
using std::chrono::seconds;

inline constexpr SessionId kSession{(std::uint64_t{1} << 32) | 1};

// The agent makes this lease of the 30 s in its Welcome: a kill must have time before the true end.
inline constexpr Duration kLease = milliseconds(22500);

inline AttemptRef Attempt(std::uint64_t job, std::uint64_t epoch = 1) {
  return {JobId{job}, Epoch{epoch}};
}

inline Assign MakeAssign(AttemptRef attempt, std::vector<Hash> trees = {}) {
  JobSpec spec;
  spec.name = "test";
  spec.steps = {{"step", ExecStep{{"/bin/true"}}}};
  Assign assign;
  assign.session = kSession;
  assign.attempt = attempt;
  assign.run = RunId{1};
  assign.run_name = "fashion#1";
  assign.spec = std::make_shared<const JobSpec>(std::move(spec));
  assign.trees = std::move(trees);
  return assign;
}

// Returns `assign` with a changed spec.
template <class Change>
Assign With(Assign assign, Change change) {
  JobSpec spec = *assign.spec;
  change(spec);
  assign.spec = std::make_shared<const JobSpec>(std::move(spec));
  return assign;
}

class AgentFarm {
 public:
  AgentFarm() {
    state.settings.software = "furrow-agent test";
    state.settings.host = "a.example";
    state.settings.state_folder = "/state";
    state.settings.shell = "/bin/bash";
    state.settings.torch_program = "/usr/lib/furrow-torch";
    state.settings.agent_program = "/usr/bin/furrow-agent";
    state.incarnation = {1, 2};
    state.offer.cpu_milli = 2000;
    state.offer.memory_bytes = 1 << 30;
  }
  ~AgentFarm() { state.CheckInvariants(); }

  AgentState state;
  FakeAgentOutbox out;
  Now now{TimePoint{seconds(1000)}, WallTime{1'000'000}};

  void Pass(Duration span) {
    now.mono = now.mono + span;
    now.wall = WallTime{static_cast<std::int64_t>(now.wall) + span / milliseconds(1)};
  }
  Duration Tick() { return OnTick(state, out, now); }
  Status Hear(const ToAgent& message) { return OnControllerMessage(state, out, now, message); }

  // Makes the agent read the runner's table and be welcomed by the controller: heartbeats every 2 s, a lease of 30 s.
  void Join() {
    On(state, out, now, runner::Listing{});
    Tick();
    REQUIRE(Hear(Welcome{kSession, state.nonce, 1, 2000, 30000}).has_value());
    out.Clear();
  }
  HeldJob& Job(AttemptRef attempt) { return state.jobs.at(attempt); }

  // Assigns a job that the runner begins.
  void Run(const Assign& assign) {
    REQUIRE(Hear(assign).has_value());
    if (!assign.trees.empty()) On(state, out, now, Prepared{assign.attempt});
    On(state, out, now, runner::Started{assign.attempt, 10, now.wall});
    REQUIRE(Job(assign.attempt).stage == HeldJob::Stage::kRunning);
    out.Clear();
  }
  runner::Exited Exit(AttemptRef attempt, std::int32_t code = 0,
                      runner::OutcomeKind kind = runner::OutcomeKind::kExited) const {
    runner::Exited event;
    event.ref = attempt;
    event.outcome = {kind, code, ""};
    event.started = WallTime{900};
    event.ended = WallTime{950};
    event.spool_bytes = 5;
    event.max_rss_bytes = 4096;
    event.cpu_us = 7000;
    return event;
  }
  // Brings a job so far that it reports: its Finished has left.
  void RunToReport(const Assign& assign) {
    Run(assign);
    On(state, out, now, Exit(assign.attempt));
    On(state, out, now, LogInline{assign.attempt, "hello", HashOf("hello")});
    REQUIRE(Job(assign.attempt).stage == HeldJob::Stage::kReporting);
    out.Clear();
  }
};

}  // namespace furrow::testing
