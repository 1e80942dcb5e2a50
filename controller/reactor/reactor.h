// The controller's decisions, one plain function per event: On<Event>(state, outbox, now, …). They change
// State and fill the Outbox; they read no clock and touch no socket, file or database. Grouped by what is
// acted on: reactor_access.cpp, reactor_agents.cpp, reactor_jobs.cpp, reactor_runs.cpp, reactor_pushes.cpp,
// reactor_clients.cpp.
//
// An error returned says why a message was ignored (stale, not theirs); it goes to the log, not to the peer.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/transport/transport.h"
#include "common/wire/messages_agent.h"
#include "common/wire/messages_client.h"
#include "controller/reactor/outbox.h"
#include "controller/state/access.h"
#include "controller/state/state.h"

namespace furrow {

// The state after a start, from what the store holds. Jobs that were on agents stay there: their leases
// count anew from `now`, and the agents are expected to register.
State RestoreState(const Settings& settings, Restored restored, Now now, Outbox& out);

// ---- agents: sessions, heartbeats, leases -------------------------------------------------------------
// A registration begins a session (Welcome) or is Refused. Compares what the agent holds with what we
// believe: what is stale is killed, what never arrived is sent again, what was lost with the agent's state
// folder counts as lost.
void OnRegister(State& state, Outbox& out, Now now, PeerId peer, const std::string& agent, const Register& message);
Status OnHeartbeat(State& state, Outbox& out, Now now, PeerId peer, const std::string& agent, const Heartbeat& message);

// ---- jobs on agents -------------------------------------------------------------------------------------
Status OnStarted(State& state, Outbox& out, Now now, PeerId peer, const std::string& agent, const Started& message);
Status OnMetricsReport(State& state, Outbox& out, Now now, PeerId peer, const std::string& agent,
                       const MetricsReport& message);
// Records how one attempt ended and frees what it held. A stale or doubled one is acknowledged and changes
// nothing. kRejected: its log is not sealed as it says; not acknowledged, so that the agent repairs it.
Status OnFinished(State& state, Outbox& out, Now now, PeerId peer, const std::string& agent, const Finished& message);
// The bulk channel holds a whole log of this length and hash, durable.
void OnLogSealed(State& state, Outbox& out, Now now, AttemptRef attempt, const LogRecord& log);

// ---- runs -------------------------------------------------------------------------------------------------
void OnSubmit(State& state, Outbox& out, Now now, PeerId peer, std::uint64_t number, const Submit& request);
void OnCancel(State& state, Outbox& out, Now now, PeerId peer, std::uint64_t number, const Cancel& request);
void OnRetry(State& state, Outbox& out, Now now, PeerId peer, std::uint64_t number, const Retry& request);
// History found what OnRetry asked for.
void OnRetryFound(State& state, Outbox& out, Now now, PeerId peer, std::uint64_t number, const Retry& request,
                  const RunRecord& run, const std::vector<JobRecord>& jobs);

// ---- pushes -------------------------------------------------------------------------------------------------
void OnTrigger(State& state, Outbox& out, Now now, PeerId peer, std::uint64_t number, const Trigger& request);
// Answered by what the next look at its refs brings: OnRefs.
void OnWatchRepository(State& state, Outbox& out, Now now, PeerId peer, std::uint64_t number,
                       const WatchRepository& request);
// Asks for a repository's refs; its last look must have been answered.
void LookAt(Outbox& out, Now now, Repository& repository);
void OnImported(State& state, Outbox& out, Now now, std::uint64_t ticket, const Result<ImportedCommit>& commit);
// The refs of a repository as they are: those that moved since we last saw them are pushes that nobody told.
// An error: it could not be looked at this time.
void OnRefs(State& state, Outbox& out, Now now, const std::string& repository,
            const Result<std::map<std::string, std::string>>& refs);

// ---- who may come in: enrolments, keys ------------------------------------------------------------------------
void OnNewEnrolment(State& state, Outbox& out, Now now, PeerId peer, std::uint64_t number, const NewEnrolment& request);
void OnListEnrolments(const State& state, Outbox& out, PeerId peer, std::uint64_t number);
void OnRevokeEnrolment(State& state, Outbox& out, Now now, PeerId peer, std::uint64_t number,
                       const RevokeEnrolment& request);
void OnListKeys(const State& state, Outbox& out, PeerId peer, std::uint64_t number);
// Answered when the key is off the allowlist, durably, and its session over: OnKeyDropped.
void OnRevokeKey(State& state, Outbox& out, PeerId peer, std::uint64_t number, const RevokeKey& request);
void OnKeyDropped(State& state, Outbox& out, const KeyDropped& event);
// Checks a proof and everything else about an enrolment, and puts its use on record; LetIn leaves behind that record,
// so no crash lets one more in than was allowed. The same key asking again is let in again and costs no use.
void OnEnrolAsked(State& state, Outbox& out, Now now, const EnrolAsked& asked);
// The allowlist holds the key now, or could not be written: then the use is given back.
void OnKeyLetIn(State& state, Outbox& out, const KeyLetIn& event);
// The allowlist as it is now. Keys that left it lose their sessions at once; their jobs go as leases do.
void OnAllowlist(State& state, Outbox& out, Now now, const AllowlistRead& event);
// Agents whose key has been gone for a while are forgotten when they hold nothing any more. Called by OnTick.
void ForgetShutOut(State& state, Outbox& out, Now now);

// ---- questions ------------------------------------------------------------------------------------------------
// Every other request: answered from State, or passed to history.
void OnQuestion(State& state, Outbox& out, Now now, PeerId peer, std::uint64_t number, const ClientRequest& request);
// A client's connection is gone: its watches end.
void OnClientGone(State& state, PeerId peer);

// ---- configuration ------------------------------------------------------------------------------------------------
// The settings changed while we run. Heartbeat and lease are promises to agents and stay as they are.
void OnSettings(State& state, const Settings& settings);

// ---- time -------------------------------------------------------------------------------------------------------
// Leases that ran out, repositories to look at. Called about once a heartbeat or more often.
// Answered with what the agent still has to do. kNotFound: nobody has this name.
void OnDrainAgent(State& state, Outbox& out, PeerId peer, std::uint64_t number, const DrainAgent& request);
void OnTick(State& state, Outbox& out, Now now);
// The end of a turn: plans if anything changed, tells watchers. Call once, last.
void EndTurn(State& state, Outbox& out, Now now);

// ---- shared between the files ---------------------------------------------------------------------------------
// Accepts a run: gives it ids, a number, records and starts it. `info` and `source` as in Submit.
Run& AcceptRun(State& state, Outbox& out, Now now, Uuid request, Pipeline pipeline, Hash source, SourceInfo info,
               RunId retry_of = RunId{});
// The agent is away from now on. Its attempts stay its own until its lease is over.
void EndSession(State& state, Agent& agent);
void Answer(Outbox& out, PeerId peer, std::uint64_t number, ClientReply reply);
// The views a client sees.
RunSummary SummaryOf(const Run& run);
JobView ViewOf(const State& state, const Run& run, const Job& job);
// The live or remembered run that a selector names, or null. number 0: the newest of the pipeline.
const Run* FindRun(const State& state, const Selector& selector);

}  // namespace furrow
