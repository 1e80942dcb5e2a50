#include "agent/reactor/devices.h"

// Decides which prepared job gets CPUs and memory, and when.
//
// When all CPUs or memory are taken, the runner still gets the next job, to hold it as the successor of a running job.
// The runner starts the successor the moment the running job ends, and reports both events together. Without successors
// every job would wait for a round trip between runner and agent, which lasts as long as a short job. A successor needs
// no more than the running job has, so the agent reserves nothing for a successor. If other CPUs become free first, the
// successor starts at once.
#include <algorithm>

#include "agent/reactor/job_start.h"
namespace furrow {
namespace {

using Stage = HeldJob::Stage;

const Resources& NeedOf(const HeldJob& job) {
  return job.assign->spec->resources;
}

// Returns whether `need` fits beside the used CPUs and memory. A job that needs more than the whole offer runs alone.
bool Fits(const AgentState& state, std::uint64_t cpu_used, std::uint64_t memory_used, const Resources& need) {
  return cpu_used == 0 || (cpu_used + need.cpu_milli <= state.offer.cpu_milli &&
                           memory_used + need.memory_bytes <= state.offer.memory_bytes);
}

bool IsFull(const AgentState& state) {
  return state.cpu_milli_used > 0 && state.cpu_milli_used >= state.offer.cpu_milli;
}

// Starts the jobs of the queue that fit, in order; a small job may overtake a large one.
void StartThoseThatFit(AgentState& state, AgentOutbox& out, const std::deque<AttemptRef>& queue) {
  if (IsFull(state)) return;
  const std::vector<AttemptRef> order(queue.begin(), queue.end());  // The loop changes the queue.
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
          // The offer may have become smaller since the running job began.
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

// Starts nothing once the lease is out: the controller may have assigned the jobs to another agent; OnTick ends them.
void StartWaiting(AgentState& state, AgentOutbox& out, Now now) {
  if (!state.runner_ready || state.stopping || (state.lease_until && now.mono >= *state.lease_until)) return;
  StartThoseThatFit(state, out, state.held);
  StartThoseThatFit(state, out, state.waiting);
  HoldNext(state, out);
}

void HoldBehind(AgentState& state, HeldJob& job, AttemptRef before) {
  job.stage = Stage::kHeld;
  state.held.push_back(job.ref());
  if (state.without_successor.erase(before) == 0) return;  // The agent does not know the attempt `before`.
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
