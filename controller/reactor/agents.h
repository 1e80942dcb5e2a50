// These reactors handle sessions, heartbeats and leases of agents.
#pragma once

#include "common/base/clock.h"
#include "common/base/error.h"
#include "controller/reactor/outbox.h"
#include "controller/state/state.h"
#include "schemas/agent.h"

namespace furrow {

// Begins a session (Welcome) or refuses the agent (Refused). Compares the agent's attempts with the state: kills stale
// ones, sends again the ones that never arrived, and counts as lost the ones that went with the agent's state folder.
Status On(State& state, Outbox& out, Now now, const Sender& from, const Register& message);
Status On(State& state, Outbox& out, Now now, const Sender& from, const Heartbeat& message);

// Marks the agent as away. Its attempts stay assigned to the agent until its lease ends.
void EndSession(State& state, Agent& agent);

// Ends the sessions of silent agents, and the attempts of agents whose lease has ended.
void CheckLeases(State& state, Outbox& out, Now now);

}  // namespace furrow
