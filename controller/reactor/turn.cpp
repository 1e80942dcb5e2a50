#include "controller/reactor/turn.h"

#include <utility>
#include <vector>

#include "common/base/check.h"
#include "controller/reactor/access.h"
#include "controller/reactor/agents.h"
#include "controller/reactor/clients.h"
#include "controller/reactor/drain.h"
#include "controller/reactor/pushes.h"
#include "controller/reactor/repositories.h"
#include "controller/reactor/transitions.h"
#include "controller/scheduler/plan.h"

namespace furrow {
namespace {

constexpr std::size_t kPlanLimit = 4096;          // assignments in one turn
constexpr std::size_t kKeepFinishedJobs = 50000;  // jobs of ended runs in memory: about 20 MB

// Forgets the oldest ended runs beyond Settings::keep_finished_runs or kKeepFinishedJobs; history still has them. A run
// whose end a watcher has not heard, because too much waits for that client, stays for the next turn. Only this
// function erases runs, so that every Run& and Job& stays valid until EndTurn.
void ForgetOldRuns(State& state) {
  const auto too_many = [&] {
    return state.ended.size() > state.settings.keep_finished_runs || state.ended_jobs > kKeepFinishedJobs;
  };
  for (auto it = state.ended.begin(); it != state.ended.end() && too_many();) {
    if (state.watchers.contains(*it)) {
      ++it;
      continue;
    }
    const auto run = state.runs.find(*it);
    state.ended_jobs -= run->second.jobs.size();
    state.run_of.erase(run->second.record.first_job);
    state.named.erase({run->second.record.pipeline, run->second.record.number});
    state.runs.erase(run);
    it = state.ended.erase(it);
  }
}

}  // namespace

void OnTick(State& state, Outbox& out, Now now) {
  CheckLeases(state, out, now);
  ResumeDrained(state, out, now);
  ForgetRevokedAgents(state, out, now);
  LookAtRepositories(state, out, now);
  TryPushesAgain(state, out, now);
}

void OnSettings(State& state, const Settings& settings) {
  const Settings before = std::exchange(state.settings, settings);
  state.settings.heartbeat = before.heartbeat;
  state.settings.lease = before.lease;
  for (auto& [id, run] : state.runs)
    for (JobGroup& group : run.groups) Enqueue(state, run, group);  // for Settings::prefetch
  state.plan_needed = true;
}

void EndTurn(State& state, Outbox& out, Now now) {
  if (state.plan_needed) {
    const std::vector<Assignment> plan = MakePlan(state, kPlanLimit);
    for (const Assignment& assignment : plan) AssignJob(state, out, now, assignment);
    state.plan_needed = plan.size() == kPlanLimit;
    if (!state.plan_needed) NotePlanned(state);
  }
  TellWatchers(state, out, now);
  ForgetOldRuns(state);
}

}  // namespace furrow
