// Pushes to git repositories: told by a hook, or found by a look at the refs.
#pragma once

#include "common/base/clock.h"
#include "controller/reactor/outbox.h"
#include "controller/state/state.h"
#include "schemas/client.h"

namespace furrow {

void On(State& state, Outbox& out, Now now, const Asker& asker, const Trigger& request);
// Answered by what the next look at its refs brings: RefsListed.
void On(State& state, Outbox& out, Now now, const Asker& asker, const WatchRepository& request);

void On(State& state, Outbox& out, Now now, const CommitImported& event);
// The refs of a repository as they are: those that moved since we last saw them are pushes that nobody told.
// An error: it could not be looked at this time.
void On(State& state, Outbox& out, Now now, const RefsListed& event);

// Asks for a repository's refs; its last look must have been answered.
void LookAt(Outbox& out, Now now, Repository& repository);
// Looks at those that were not looked at for Settings::repository_poll.
void LookAtRepositories(State& state, Outbox& out, Now now);

}  // namespace furrow
