// Brings an attempt from Assign to its end.
#pragma once

#include <string>

#include "agent/runner/protocol.h"
#include "agent/state/effects.h"
#include "agent/state/outbox.h"
#include "agent/state/state.h"
#include "common/base/clock.h"
#include "common/base/error.h"
#include "schemas/agent.h"

namespace furrow {

Status On(AgentState& state, AgentOutbox& out, Now now, const Assign& message);
Status On(AgentState& state, AgentOutbox& out, Now now, const Kill& message);

// Fails an attempt whose Assign this build cannot read: its report says `why`.
void OnUnreadableAssign(AgentState& state, AgentOutbox& out, Now now, SessionId session, AttemptRef attempt,
                        const std::string& why);

void On(AgentState& state, AgentOutbox& out, Now now, const WorkspaceEvent& event);

// Compares the runner's table with the state after each connection: takes over unknown attempts of an earlier process
// of the agent, and starts attempts again that the table lacks. After the first Listing the agent may register.
void On(AgentState& state, AgentOutbox& out, Now now, const runner::Listing& listing);
void On(AgentState& state, AgentOutbox& out, Now now, const runner::Started& event);
void On(AgentState& state, AgentOutbox& out, Now now, const runner::Exited& event);
// Fails an attempt whose Start cannot be sent to the runner: its report says `why`.
void OnStartRefused(AgentState& state, AgentOutbox& out, Now now, AttemptRef ref, const std::string& why);
// Notes that the connection broke. The loop starts a runner again and asks for its table.
void OnRunnerGone(AgentState& state);

// Why an attempt ended: the controller was not heard for a whole lease, or the agent was stopped.
inline constexpr const char* kLeaseOut = "the lease ran out: the controller was not heard";
inline constexpr const char* kStopped = "the agent was stopped, and its jobs with it";
// Ends an attempt that has no process, or orders the runner to end the attempt. `job` may be forgotten then.
void EndJob(AgentState& state, AgentOutbox& out, Now now, HeldJob& job, OutcomeKind kind, const std::string& reason);

}  // namespace furrow
