// What `run` and `retry` do after the run was accepted: show it until it has ended.
#pragma once

#include "controller/cli/commands.h"
#include "controller/cli/signals.h"

namespace furrow::cli {

// Shows the run and its logs and returns its exit status. Ctrl-C asks whether to cancel or to detach, or cancels where
// nobody can be asked; a second one cancels and does not wait. `signals` has SIGINT, SIGTERM and SIGWINCH.
Result<int> FollowRun(const Session& session, FarmClient& farm, const Submitted& submitted, Signals& signals);

// Without following: says how to.
int SayDetached(const Session& session, const Submitted& submitted);

}  // namespace furrow::cli
