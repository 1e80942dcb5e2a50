// From Assign to the attempt's end.
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

// The controller assigns what this build cannot read: the attempt fails, in words.
void OnUnreadableAssign(AgentState& state, AgentOutbox& out, Now now, SessionId session, AttemptRef attempt,
                        const std::string& why);

void On(AgentState& state, AgentOutbox& out, Now now, const WorkspaceEvent& event);

// The runner's table, after we connected to it: attempts that we did not know are taken over, those that
// we believed to be there and are not are started again. From then on we may register.
void On(AgentState& state, AgentOutbox& out, Now now, const runner::Listing& listing);
void On(AgentState& state, AgentOutbox& out, Now now, const runner::Started& event);
void On(AgentState& state, AgentOutbox& out, Now now, const runner::Exited& event);
// The runner cannot be told to start it: the attempt fails, in words.
void OnStartRefused(AgentState& state, AgentOutbox& out, Now now, AttemptRef ref, const std::string& why);
// The connection broke. main starts a runner again and asks for its table.
void OnRunnerGone(AgentState& state);

// The reason of attempts that ended because the controller was not heard for a whole lease.
inline constexpr const char* kLeaseOut = "the lease ran out: the controller was not heard";
inline constexpr const char* kStopped = "the agent was stopped, and its jobs with it";
// Ends an attempt without a process, or tells the runner to end it.
void EndJob(AgentState& state, AgentOutbox& out, Now now, HeldJob& job, OutcomeKind kind, const std::string& reason);

}  // namespace furrow
