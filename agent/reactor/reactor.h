// The agent's decisions, one plain function per event: On<Event>(state, outbox, now, …). They change the
// state and fill the outbox; they read no clock, file or socket. reactor_session.cpp: registration, leases,
// heartbeats. reactor_jobs.cpp: from Assign to the attempt's end. reactor_devices.cpp: who gets CPUs and memory.
// reactor_reports.cpp: from an attempt's end to the report's acknowledgement.
#pragma once

#include <string>
#include <vector>

#include "agent/runner/protocol.h"
#include "agent/state/effects.h"
#include "agent/state/outbox.h"
#include "agent/state/state.h"
#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/wire/messages_agent.h"

namespace furrow {

// ---- from the controller ------------------------------------------------------------------------------
// Calls the handler of a message. kRejected: of another session than ours, or refused; for the log.
Status OnControllerMessage(AgentState& state, AgentOutbox& out, Now now, const ToAgent& message);

// Also compares the clocks: AgentSession::clock_ahead_ms, sure to that much.
Status OnWelcome(AgentState& state, AgentOutbox& out, Now now, const Welcome& message);
Status OnRefused(AgentState& state, Now now, const Refused& message);
Status OnReregister(AgentState& state, Now now, const Reregister& message);
Status OnHeartbeatAck(AgentState& state, AgentOutbox& out, const HeartbeatAck& message);
Status OnAssign(AgentState& state, AgentOutbox& out, Now now, const Assign& message);
Status OnKill(AgentState& state, AgentOutbox& out, Now now, const Kill& message);
Status OnFinishedAck(AgentState& state, AgentOutbox& out, Now now, const FinishedAck& message);
Status OnMetricsAck(AgentState& state, AgentOutbox& out, Now now, const MetricsAck& message);

// ---- from the runner ------------------------------------------------------------------------------------
// The runner's table, after we connected to it: attempts that we did not know are taken over, those that
// we believed to be there and are not are started again. From then on we may register.
void OnListing(AgentState& state, AgentOutbox& out, Now now, const runner::Listing& listing);
void OnRunnerStarted(AgentState& state, AgentOutbox& out, Now now, const runner::Started& event);
void OnRunnerExited(AgentState& state, AgentOutbox& out, Now now, const runner::Exited& event);
// The connection broke. main starts a runner again and asks for its table.
void OnRunnerGone(AgentState& state);

// ---- from the threads -------------------------------------------------------------------------------------
void OnWorkspaceEvent(AgentState& state, AgentOutbox& out, Now now, const WorkspaceEvent& event);
void OnUploadEvent(AgentState& state, AgentOutbox& out, Now now, const UploadEvent& event);

// ---- time -----------------------------------------------------------------------------------------------------
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

// ---- shared between the files ---------------------------------------------------------------------------------
// Where the files of a place lie below the state folder.
std::string WorkspaceOf(const AgentSettings& settings, std::uint32_t place);
std::string SpoolOf(const AgentSettings& settings, std::uint32_t place);
std::string MetricsFileOf(const AgentSettings& settings, std::uint32_t place);
// The attempt as the runner is told it: steps as programs, the whole environment, and a blob that ReadBlob reads.
runner::Start MakeStart(const AgentState& state, const HeldJob& job);
// An attempt's Assign and place, from the blob that the runner kept. kInvalid: of a version that we do not know.
Result<std::pair<Assign, std::uint32_t>> ReadBlob(const std::string& blob);
// Has the output of an attempt followed.
Follow FollowOf(const AgentState& state, const HeldJob& job, bool resumed);
// The reason of attempts that ended because the controller was not heard for a whole lease.
inline constexpr const char* kLeaseOut = "the lease ran out: the controller was not heard";
inline constexpr const char* kStopped = "the agent was stopped, and its jobs with it";
// Ends an attempt without a process, or tells the runner to end it.
void EndJob(AgentState& state, AgentOutbox& out, Now now, HeldJob& job, OutcomeKind kind, const std::string& reason);
// The attempt has ended, after a process of it `ran` or without: brings home what it leaves behind.
void BringHome(AgentState& state, AgentOutbox& out, Now now, HeldJob& job, std::uint64_t spool_bytes, bool ran);

// ---- CPUs and memory (reactor_devices.cpp) --------------------------------------------------------------------
// Hands prepared jobs to the runner as far as CPUs and memory allow, and others to hold for those that run.
void StartWaiting(AgentState& state, AgentOutbox& out, Now now);
// The runner holds the job until `before` is over, and then it gets what that one had.
void HoldBehind(AgentState& state, HeldJob& job, AttemptRef before);
// The job has CPUs and memory from now on: its stage is kStarting. It was held, or has just become known.
void OccupyDevices(AgentState& state, HeldJob& job);
// Gives back what the job has of CPUs and memory, its heir gets them; or the place behind the one it is held for.
void FreeDevices(AgentState& state, HeldJob& job);
// Nothing more is to be said of the attempt: has everything of it removed.
void Forget(AgentState& state, AgentOutbox& out, Now now, AttemptRef ref);
// Sends everything that waits for an acknowledgement: after a new session, and as time passes.
void SendReports(AgentState& state, AgentOutbox& out, Now now, bool all);

}  // namespace furrow
