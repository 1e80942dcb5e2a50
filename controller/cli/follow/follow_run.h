// Shows a run until it has ended: what `run` and `retry` do once it is accepted, and `show -f` with any run.
#pragma once

#include "controller/cli/session/session.h"
#include "controller/cli/session/signals.h"

namespace furrow::cli {

// Shows the run and its logs and returns its exit status. Ctrl-C asks whether to cancel or to detach, or cancels where
// nobody can be asked; a second one cancels and does not wait. `signals` has SIGINT, SIGTERM and SIGWINCH.
Result<int> FollowRun(const Session& session, FarmClient& farm, const Submitted& submitted, Signals& signals);

// The same with a run that somebody else started: where nobody can be asked, Ctrl-C ends the watching alone.
Result<int> WatchRun(const Session& session, FarmClient& farm, const Selector& run, Signals& signals);

// Without following: says how to.
int SayDetached(const Session& session, const Submitted& submitted);

}  // namespace furrow::cli
