// These views show watched repositories to a client.
#pragma once

#include "common/base/clock.h"
#include "controller/state/state.h"
#include "schemas/client.h"

namespace furrow {

// Returns the time from one look at a repository to the next: longer after looks that could not read it, up to an hour.
Duration LookInterval(const State& state, const Repository& repository);

RepositoryList ListOfRepositories(const State& state, Now now);

}  // namespace furrow
