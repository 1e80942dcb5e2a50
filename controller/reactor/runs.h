// Runs: submitted, cancelled, retried.
#pragma once

#include "common/base/clock.h"
#include "controller/reactor/outbox.h"
#include "controller/state/state.h"
#include "schemas/client.h"

namespace furrow {

void On(State& state, Outbox& out, Now now, const Asker& asker, const Submit& request);
void On(State& state, Outbox& out, Now now, const Asker& asker, const Cancel& request);
void On(State& state, Outbox& out, Now now, const Asker& asker, const Retry& request);
// History found what a Retry asked for.
void On(State& state, Outbox& out, Now now, const RetryFound& found);

// Accepts a run: gives it ids, a number, records and starts it. `info` and `source` as in Submit.
Run& AcceptRun(State& state, Outbox& out, Now now, Uuid request, Pipeline pipeline, Hash source, SourceInfo info,
               RunId retry_of = RunId{});

}  // namespace furrow
