// Brings an attempt from its end to the acknowledgement of its report.
#pragma once

#include <cstdint>
#include <string>

#include "agent/state/effects.h"
#include "agent/state/outbox.h"
#include "agent/state/state.h"
#include "common/base/clock.h"
#include "common/base/error.h"
#include "schemas/agent.h"

namespace furrow {

void On(AgentState& state, AgentOutbox& out, Now now, const UploadEvent& event);
Status On(AgentState& state, AgentOutbox& out, Now now, const FinishedAck& message);
Status On(AgentState& state, AgentOutbox& out, Now now, const MetricsAck& message);

// Collects the log and artifacts of an attempt that has ended. `ran`: the attempt had a process.
// An attempt that nobody wants is forgotten at once, and `job` with it.
void CollectOutputs(AgentState& state, AgentOutbox& out, Now now, HeldJob& job, std::uint64_t spool_bytes, bool ran);
// Forgets an attempt that needs no more reports, and has its files and the runner's entry removed.
void Forget(AgentState& state, AgentOutbox& out, Now now, AttemptRef ref);
// Handles an agent's message that broke a cap, which is a fault of the code that made the message: the metrics that
// cannot travel are left out of the next message, and the report says so. Nothing of a Register or Heartbeat could be
// left out.
void OnUnsendable(AgentState& state, AgentOutbox& out, Now now, const AgentMessage& message, const std::string& why);
// Sends the reports and metrics that wait for an acknowledgement. `all`: at once, as a new session needs; otherwise
// only those whose time to repeat has come.
void SendReports(AgentState& state, AgentOutbox& out, Now now, bool all);

}  // namespace furrow
