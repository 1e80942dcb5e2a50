#include "controller/reactor/turn.h"

#include <utility>
#include <vector>

#include "controller/reactor/access.h"
#include "controller/reactor/agents.h"
#include "controller/reactor/clients.h"
#include "controller/reactor/drain.h"
#include "controller/reactor/pushes.h"
#include "controller/reactor/transitions.h"
#include "controller/scheduler/plan.h"

namespace furrow {
namespace {

constexpr std::size_t kPlanLimit = 4096;  // assignments in one turn

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
