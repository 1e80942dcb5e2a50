// Questions of clients, answered from State or passed to history, and those who watch a run.
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

// Tells those who watch a run what changed in it; the last word of a run that has ended ends the watch.
void TellWatchers(State& state, Outbox& out, Now now);
// A client's connection is gone: what it asked for ends.
void ForgetClient(State& state, PeerId peer);

}  // namespace furrow
