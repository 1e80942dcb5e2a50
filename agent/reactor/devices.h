// Who gets CPUs and memory.
#pragma once

#include "agent/state/outbox.h"
#include "agent/state/state.h"
#include "common/base/clock.h"
#include "common/base/error.h"
#include "schemas/agent.h"

namespace furrow {

// Hands prepared jobs to the runner as far as CPUs and memory allow, and others to hold for those that run.
void StartWaiting(AgentState& state, AgentOutbox& out, Now now);
// The runner holds the job until `before` is over, and then it gets what that one had.
void HoldBehind(AgentState& state, HeldJob& job, AttemptRef before);
// The job has CPUs and memory from now on: its stage is kStarting. It was held, or has just become known.
void OccupyDevices(AgentState& state, HeldJob& job);
// Gives back what the job has of CPUs and memory, its successor gets them; or the place behind the one it is held for.
void FreeDevices(AgentState& state, HeldJob& job);

}  // namespace furrow
