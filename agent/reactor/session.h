// Registration, heartbeats, the lease.
#pragma once

#include <cstdint>

#include "agent/state/outbox.h"
#include "agent/state/state.h"
#include "common/base/clock.h"
#include "common/base/error.h"
#include "schemas/agent.h"

namespace furrow {

// Calls the handler of a message. kRejected: of another session than ours, or refused; for the log.
Status OnControllerMessage(AgentState& state, AgentOutbox& out, Now now, const ToAgent& message);

// Also compares the clocks: AgentSession::clock_ahead_ms, sure to that much.
Status On(AgentState& state, AgentOutbox& out, Now now, const Welcome& message);
Status On(AgentState& state, AgentOutbox& out, Now now, const Refused& message);
Status On(AgentState& state, AgentOutbox& out, Now now, const Reregister& message);
Status On(AgentState& state, AgentOutbox& out, Now now, const HeartbeatAck& message);

// Registrations, heartbeats, repetitions, leases. Returns how long nothing needs to be done.
Duration OnTick(AgentState& state, AgentOutbox& out, Now now);

// The configuration changed while we run, or the machine did. Jobs that run keep what they have; a changed offer is
// told to the controller by registering anew.
void OnSettings(AgentState& state, AgentOutbox& out, Now now, AgentSettings settings, Offer offer,
                std::uint64_t cache_bytes);

// How much space is free where jobs work. Too little is told to the controller before anything else of this turn, so
// that a job which failed for it is not given to us again.
void OnDiskSpace(AgentState& state, AgentOutbox& out, Now now, std::uint64_t free_bytes);

// The agent is to stop and its jobs with it: offers nothing any more and reports what it held as lost, so that the
// controller gives it to others at once. main has the runner end the processes and waits until nothing is held.
void OnStop(AgentState& state, AgentOutbox& out, Now now);

}  // namespace furrow
