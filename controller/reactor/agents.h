// Sessions, heartbeats and leases of agents.
#pragma once

#include "common/base/clock.h"
#include "common/base/error.h"
#include "controller/reactor/outbox.h"
#include "controller/state/state.h"
#include "schemas/agent.h"

namespace furrow {

// A registration begins a session (Welcome) or is Refused. Compares what the agent holds with what we believe: what is
// stale is killed, what never arrived is sent again, what was lost with the agent's state folder counts as lost.
Status On(State& state, Outbox& out, Now now, const Sender& from, const Register& message);
Status On(State& state, Outbox& out, Now now, const Sender& from, const Heartbeat& message);

// The agent is away from now on. Its attempts stay its own until its lease is over.
void EndSession(State& state, Agent& agent);

// Ends sessions that went silent, and attempts whose agent's lease is over.
void CheckLeases(State& state, Outbox& out, Now now);

}  // namespace furrow
