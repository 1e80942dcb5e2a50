// These reactors watch repositories: they look at their refs, list and forget them, and know one under several paths.
#pragma once

#include <string>

#include "common/base/clock.h"
#include "controller/reactor/outbox.h"
#include "controller/state/state.h"
#include "schemas/client.h"

namespace furrow {

// Answers when the next look at the repository's refs has its result: see RefsListed.
void On(State& state, Outbox& out, Now now, const Asker& asker, const WatchRepository& request);
void On(State& state, Outbox& out, Now now, const Asker& asker, const ListRepositories& request);
// Forgets a repository and the pushes of it that are not taken yet.
void On(State& state, Outbox& out, Now now, const Asker& asker, const ForgetRepository& request);

// Asks for a repository's refs. The caller has got the answer to the last question.
void LookAt(Outbox& out, Now now, Repository& repository);
// Looks at the repositories that were not looked at for Settings::repository_poll; at those that could not be read less
// and less often, down to once an hour.
void LookAtRepositories(State& state, Outbox& out, Now now);
// Notes how a look went, and warns when something else is wrong than before.
void NoteLook(Outbox& out, Now now, Repository& repository, const RefsListed& look);

// Returns the path under which the repository at `path` is watched: `path`, without a trailing slash and `/.git`.
std::string KnownPath(const State& state, const std::string& path);
// Returns the other watched path of the repository with this identity; empty: there is none.
std::string SameRepository(const State& state, const std::string& name, const std::string& identity);
// Makes one of two paths of a repository: `name`, where it was seen just now, and `same`, where it is watched. Returns
// the path that it is watched at from now on: `name` if nothing is at `same` any more, which was renamed then.
std::string Unite(State& state, Outbox& out, Now now, const std::string& name, const std::string& same);
// Watches a repository that is not at `name` any more at another path of it, if one was seen.
void FollowAlias(State& state, Outbox& out, Now now, const std::string& name);

}  // namespace furrow
