// These reactors answer questions of clients from the State, or pass them to history, and update the clients that watch
// a run.
#pragma once

#include "common/base/clock.h"
#include "controller/reactor/outbox.h"
#include "controller/state/state.h"
#include "schemas/client.h"

namespace furrow {

void On(State& state, Outbox& out, Now now, const Asker& asker, const ListRuns& request);
void On(State& state, Outbox& out, Now now, const Asker& asker, const ShowRun& request);
void On(State& state, Outbox& out, Now now, const Asker& asker, const Watch& request);
void On(State& state, Outbox& out, Now now, const Asker& asker, const ListAgents& request);
void On(State& state, Outbox& out, Now now, const Asker& asker, const Why& request);
void On(State& state, Outbox& out, Now now, const Asker& asker, const GetMetrics& request);
void On(State& state, Outbox& out, Now now, const Asker& asker, const Ping& request);

void On(State& state, Outbox& out, Now now, const HistoryAnswer& event);

// Passes a question about the run that `what` names to history, or answers that there is no such pipeline.
void AskHistory(State& state, Outbox& out, const Asker& asker, ClientRequest request, const Selector& what);
// Passes a question to history, unless the client has too many there already.
void AskHistory(State& state, Outbox& out, HistoryQuery query);

// Takes in whether turns wait for the disk for so long that readers get what is durable. `readers`: see
// Turns::TakeReaders.
void OnStalled(State& state, Outbox& out, bool stalled, Outbox readers);
// Counts a question as answered.
void OnHistoryAnswered(State& state, const Asker& asker);

// Sends watchers what changed in their run; the last update of a run that has ended ends the watch.
void TellWatchers(State& state, Outbox& out, Now now);
// Drops the watches of a client whose connection is gone, and its questions about pushes.
void ForgetClient(State& state, PeerId peer);

}  // namespace furrow
