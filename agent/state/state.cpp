#include "agent/state/state.h"

#include <set>

#include "common/base/check.h"

namespace furrow {

Phase HeldJob::phase() const {
  switch (stage) {
    case Stage::kPreparing:
    case Stage::kWaiting:
    case Stage::kHeld:
    case Stage::kStarting: return Phase::kPreparing;
    case Stage::kRunning: return Phase::kRunning;
    case Stage::kCollecting:
    case Stage::kReporting: return Phase::kReporting;
  }
  return Phase::kReporting;
}

void AgentState::CheckInvariants() const {
  std::uint64_t cpu = 0;
  std::size_t waits = 0;
  std::size_t holds = 0;
  std::set<std::uint32_t> slots;
  for (const auto& [ref, job] : jobs) {
    FURROW_CHECK(job.assign != nullptr && job.ref() == ref, "a job is filed under its own attempt");
    if (job.OccupiesDevices()) cpu += job.assign->spec->resources.cpu_milli;
    if (job.stage == HeldJob::Stage::kWaiting) ++waits;
    if (job.stage == HeldJob::Stage::kHeld) ++holds;
    FURROW_CHECK(without_successor.contains(ref) == (job.OccupiesDevices() && !job.next),
                 "who has no successor is known");
    FURROW_CHECK(!job.next || (job.OccupiesDevices() && jobs.at(*job.next).after == ref),
                 "a successor knows whose it is");
    FURROW_CHECK(!job.after || (job.stage == HeldJob::Stage::kHeld && jobs.at(*job.after).next == ref),
                 "who is held for a job is its successor");
    FURROW_CHECK(slots.insert(job.slot).second, "a slot is one job's");
    FURROW_CHECK(!done.contains(ref), "a job that is done is not held");
    FURROW_CHECK(job.stage != HeldJob::Stage::kReporting || reporting.contains(ref), "a report is repeated");
  }
  for (const auto& [ref, slot] : clearing) FURROW_CHECK(slots.insert(slot).second, "a slot is cleared for one job");
  for (const std::uint32_t slot : free_slots) FURROW_CHECK(slots.insert(slot).second, "a free slot is no job's");
  FURROW_CHECK(slots.empty() || *slots.rbegin() < slots_made, "slots are counted");
  FURROW_CHECK(cpu == cpu_milli_used, "CPUs are booked for the jobs that run");
  FURROW_CHECK(waits == waiting.size(), "a waiting job is queued once");
  FURROW_CHECK(holds == held.size(), "a held job is listed once");
}

}  // namespace furrow
