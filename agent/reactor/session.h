// Keeps the session with the controller: registration, heartbeats, the lease.
#pragma once

#include <cstdint>
#include <string_view>

#include "agent/state/outbox.h"
#include "agent/state/state.h"
#include "common/base/clock.h"
#include "common/base/error.h"
#include "schemas/agent.h"

namespace furrow {

// Reads a frame of the controller and calls the handler of its message. kInvalid, for the log: the frame cannot be
// read; an attempt that it assigns fails and says so. Other errors are those of OnControllerMessage.
Status OnControllerFrame(AgentState& state, AgentOutbox& out, Now now, std::string_view frame);

// Calls the handler of a message. kRejected, for the log: the message is of another session, or the controller refuses.
Status OnControllerMessage(AgentState& state, AgentOutbox& out, Now now, const ToAgent& message);

// Begins a session, and compares the clocks: AgentSession::clock_ahead_ms is the difference that is certain.
Status On(AgentState& state, AgentOutbox& out, Now now, const Welcome& message);
Status On(AgentState& state, AgentOutbox& out, Now now, const Refused& message);
Status On(AgentState& state, AgentOutbox& out, Now now, const Reregister& message);
Status On(AgentState& state, AgentOutbox& out, Now now, const HeartbeatAck& message);

// Sends due registrations, heartbeats and repeated reports, and ends the jobs whose lease is out. Returns the time
// until the next call is due.
Duration OnTick(AgentState& state, AgentOutbox& out, Now now);

// Handles a new connection to the controller: what waits for an answer may have been lost with the one before, and is
// said again at once, not when its time comes.
void OnConnected(AgentState& state, AgentOutbox& out, Now now);

// Takes over a configuration or a machine that changed. Running jobs keep their devices and environment; the agent
// registers again to announce a changed offer.
void OnSettings(AgentState& state, AgentOutbox& out, Now now, AgentSettings settings, Offer offer,
                std::uint64_t cache_bytes);

// Takes in the free space of the disk that jobs work on. A lack of space goes to
// the controller before the other messages of this turn, so that a job which failed for lack of space is not assigned
// to this agent again.
void OnDiskSpace(AgentState& state, AgentOutbox& out, Now now, FreeSpace free);

// Says that an attempt ran on a full disk: see HeldJob::disk_full.
std::string DiskWasFull(const AgentState& state);

// Returns when the free space is to be looked at again, after a look that found `free_bytes`: a job that writes fast
// must not fill the disk and fail between two looks.
Duration NextDiskLook(const AgentState& state, std::uint64_t free_bytes);

// Stops the agent and its jobs: withdraws the offer and reports the held jobs as lost, so that the controller assigns
// them to other agents at once. The loop has the runner end the processes and waits until no job is held.
void OnStop(AgentState& state, AgentOutbox& out, Now now);

}  // namespace furrow
