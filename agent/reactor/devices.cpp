#include "agent/reactor/devices.h"

// Which prepared job gets CPUs and memory, and when.
//
// Where everything is taken, the next job is given to the runner all the same, to be held for one that runs: its
// successor. It starts the moment that one ends, and the news of both come here together. Without that every job would
// wait for the way from the runner to us and back, which is as long as a short job. A successor needs no more than it
// will get, so nothing is set aside for it. Should other CPUs become free first, it is let go at once.
#include <algorithm>

#include "agent/reactor/job_start.h"
namespace furrow {
namespace {

using Stage = HeldJob::Stage;

const Resources& NeedOf(const HeldJob& job) {
  return job.assign->spec->resources;
}

// Whether there is room beside what is used. What needs more than there is runs alone.
bool Fits(const AgentState& state, std::uint64_t cpu_used, std::uint64_t memory_used, const Resources& need) {
  return cpu_used == 0 || (cpu_used + need.cpu_milli <= state.offer.cpu_milli &&
                           memory_used + need.memory_bytes <= state.offer.memory_bytes);
}

bool IsFull(const AgentState& state) {
  return state.cpu_milli_used > 0 && state.cpu_milli_used >= state.offer.cpu_milli;
}

// Those that fit, in order; a small one may pass a large one.
void StartThoseThatFit(AgentState& state, AgentOutbox& out, const std::deque<AttemptRef>& queue) {
  if (IsFull(state)) return;
  const std::vector<AttemptRef> order(queue.begin(), queue.end());  // the queue changes on the way
  for (const AttemptRef& ref : order) {
    if (IsFull(state)) return;
    HeldJob& job = state.jobs.at(ref);
    if (job.killing || !Fits(state, state.cpu_milli_used, state.memory_used, NeedOf(job))) continue;
    if (job.stage == Stage::kWaiting) std::erase(state.waiting, ref);
    OccupyDevices(state, job);
    out.runner.emplace_back(MakeStart(state, job));
  }
}

void HoldNext(AgentState& state, AgentOutbox& out) {
  while (state.runner_holds && !state.waiting.empty()) {
    const AttemptRef ref = state.waiting.front();
    HeldJob& job = state.jobs.at(ref);
    const Resources& need = NeedOf(job);
    const auto before =
        std::find_if(state.without_successor.begin(), state.without_successor.end(), [&](const AttemptRef& one) {
          const Resources& has = NeedOf(state.jobs.at(one));
          if (has.cpu_milli < need.cpu_milli || has.memory_bytes < need.memory_bytes) return false;
          // The offer may have become smaller since that one began.
          return Fits(state, state.cpu_milli_used - has.cpu_milli, state.memory_used - has.memory_bytes, need);
        });
    if (before == state.without_successor.end()) return;
    state.waiting.pop_front();
    HoldBehind(state, job, *before);
    runner::Start start = MakeStart(state, job);
    start.after = job.after;
    out.runner.emplace_back(std::move(start));
  }
}

void StopHolding(AgentState& state, HeldJob& job) {
  if (job.stage != Stage::kHeld) return;
  std::erase(state.held, job.ref());
  if (job.after) {
    state.jobs.at(*job.after).next.reset();
    state.without_successor.insert(*job.after);
  }
  job.after.reset();
}

}  // namespace

// Nothing once the lease is out: the controller may have given the jobs to another; OnTick ends them.
void StartWaiting(AgentState& state, AgentOutbox& out, Now now) {
  if (!state.runner_ready || state.stopping || (state.lease_until && now.mono >= *state.lease_until)) return;
  StartThoseThatFit(state, out, state.held);
  StartThoseThatFit(state, out, state.waiting);
  HoldNext(state, out);
}

void HoldBehind(AgentState& state, HeldJob& job, AttemptRef before) {
  job.stage = Stage::kHeld;
  state.held.push_back(job.ref());
  if (state.without_successor.erase(before) == 0) return;  // one that we do not know
  job.after = before;
  state.jobs.at(before).next = job.ref();
}

void OccupyDevices(AgentState& state, HeldJob& job) {
  StopHolding(state, job);
  job.stage = Stage::kStarting;
  state.cpu_milli_used += NeedOf(job).cpu_milli;
  state.memory_used += NeedOf(job).memory_bytes;
  state.without_successor.insert(job.ref());
}

void FreeDevices(AgentState& state, HeldJob& job) {
  StopHolding(state, job);
  if (!job.OccupiesDevices()) return;
  state.cpu_milli_used -= NeedOf(job).cpu_milli;
  state.memory_used -= NeedOf(job).memory_bytes;
  if (const auto successor = job.next) OccupyDevices(state, state.jobs.at(*successor));
  state.without_successor.erase(job.ref());
}

}  // namespace furrow
