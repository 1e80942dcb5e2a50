// These reactors submit, cancel and retry runs.
#pragma once

#include <string>

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

// Accepts the submission once its pipeline file is prepared, or says what is wrong with the file.
void On(State& state, Outbox& out, Now now, const SubmissionPrepared& event);

// A NewRun is what a run is made of. `source` and `info` are as in Submit.
struct NewRun {
  Uuid request;
  PipelineId pipeline{};
  SharedSpec spec;
  SharedText text{};  // hash 0: not kept. Without bytes: in the store already.
  Hash source{};
  SourceInfo info{};
  RunId retry_of{};
  std::string by{};  // name of the key that asked for the run; empty: a push
};

// Accepts a run: gives the run its ids and number and records it. Callers start the run with StartRun.
Run& AcceptRun(State& state, Outbox& out, Now now, NewRun made);

}  // namespace furrow
