// Decides which job gets CPUs and memory.
#pragma once

#include "agent/state/outbox.h"
#include "agent/state/state.h"
#include "common/base/clock.h"
#include "common/base/error.h"
#include "schemas/agent.h"

namespace furrow {

// Sends prepared jobs to the runner as far as CPUs and memory allow, and further jobs to hold behind running ones.
void StartWaiting(AgentState& state, AgentOutbox& out, Now now);
// Records that the runner holds `job` until `before` is over; then the job gets the CPUs and memory of `before`.
void HoldBehind(AgentState& state, HeldJob& job, AttemptRef before);
// Books CPUs and memory for the job and sets its stage to kStarting. The job waited, was held, or is new here.
void OccupyDevices(AgentState& state, HeldJob& job);
// Frees the job's CPUs and memory, which its successor gets; a held job gives up its place behind another job.
void FreeDevices(AgentState& state, HeldJob& job);

}  // namespace furrow
