// From an attempt's end to the report's acknowledgement.
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

// The attempt has ended, after a process of it `ran` or without: collects what it leaves behind.
void CollectOutputs(AgentState& state, AgentOutbox& out, Now now, HeldJob& job, std::uint64_t spool_bytes, bool ran);
// Nothing more is to be said of the attempt: has everything of it removed.
void Forget(AgentState& state, AgentOutbox& out, Now now, AttemptRef ref);
// A message of ours broke a cap, which is a fault of whoever made it: what of it cannot travel is left out of the next
// one, and the report says so. A Register or Heartbeat has nothing that could be left out.
void OnUnsendable(AgentState& state, AgentOutbox& out, Now now, const AgentMessage& message, const std::string& why);
// Sends everything that waits for an acknowledgement: after a new session, and as time passes.
void SendReports(AgentState& state, AgentOutbox& out, Now now, bool all);

}  // namespace furrow
