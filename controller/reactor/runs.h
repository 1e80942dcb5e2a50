// These reactors submit, cancel and retry runs.
#pragma once

#include "common/base/clock.h"
#include "controller/reactor/outbox.h"
#include "controller/state/state.h"
#include "schemas/client.h"

namespace furrow {

void On(State& state, Outbox& out, Now now, const Asker& asker, const Submit& request);
void On(State& state, Outbox& out, Now now, const Asker& asker, const Cancel& request);
void On(State& state, Outbox& out, Now now, const Asker& asker, const Retry& request);
// Starts the retry after history has found the old run.
void On(State& state, Outbox& out, Now now, const RetryFound& found);

// Accepts a run: gives the run its ids and number and records it. Callers start the run with StartRun. `info` and
// `source` are as in Submit.
Run& AcceptRun(State& state, Outbox& out, Now now, Uuid request, Pipeline pipeline, Hash source, SourceInfo info,
               RunId retry_of = RunId{});

}  // namespace furrow
