// These reactors handle pushes to git repositories, which a hook reports or a look at the refs finds.
#pragma once

#include "common/base/clock.h"
#include "controller/reactor/outbox.h"
#include "controller/state/state.h"
#include "schemas/client.h"

namespace furrow {

void On(State& state, Outbox& out, Now now, const Asker& asker, const Trigger& request);

// An import that failed for trouble which may pass is tried again, after pauses of 30 s to an hour. After 20 tries that
// stored nothing, or three whose trouble may be the commit itself, the push is dropped and its reason told.
void On(State& state, Outbox& out, Now now, const CommitImported& event);
// Takes the refs of a repository: refs that moved since the last look are pushes that no hook reported. An error means
// that this look failed.
void On(State& state, Outbox& out, Now now, const RefsListed& event);

// Takes up a push that was on record before a restart.
void ResumePush(State& state, Outbox& out, Now now, TriggerRecord record);
// Imports the pushes whose pause after a failed try is over.
void TryPushesAgain(State& state, Outbox& out, Now now);

}  // namespace furrow
