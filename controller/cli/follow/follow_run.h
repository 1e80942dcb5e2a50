// These functions show a run until it has ended: `run` and `retry` use them after the run is accepted, and `show -f`
// with any run.
#pragma once

#include "controller/cli/session/session.h"
#include "controller/cli/session/signals.h"

namespace furrow::cli {

// Shows the run and its logs and returns its exit status. Ctrl-C asks whether to cancel or to detach; at this question,
// or where no terminal can answer, Ctrl-C cancels. Ctrl-C after the cancelling ends the program without waiting for the
// run. `signals` has SIGINT, SIGTERM and SIGWINCH.
Result<int> FollowRun(const Session& session, FarmClient& farm, const Submitted& submitted, Signals& signals);

// Does the same with a run that another user or program started: where no terminal can answer, Ctrl-C only ends the
// watching.
Result<int> WatchRun(const Session& session, FarmClient& farm, const Selector& run, Signals& signals);

// Says how to follow the run and returns the exit status.
int SayDetached(const Session& session, const Submitted& submitted);

}  // namespace furrow::cli
