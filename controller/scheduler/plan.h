// The scheduler decides which job goes to which agent. A plan is a pure function of the state: planning changes nothing
// and reads no clock.
#pragma once

#include <cstddef>
#include <vector>

#include "controller/state/assignment.h"
#include "controller/state/state.h"

namespace furrow {

// Plans ready jobs in the order of their runs' arrival and, in a run, of the file: each goes to a connected agent that
// carries its labels and has the CPUs, memory and GPUs free. Of these it gets one with the fewest shards of the same
// job, so that shards spread; among those one with the most free CPUs; among those the first by name. A job that does
// not fit now does not hold up smaller ones behind it. Jobs without GPUs whose siblings were short
// (JobGroup::mean_duration) may also be planned ahead onto full agents, for at most Settings::prefetch of work each, so
// that an agent need not wait for the controller between two jobs. A plan has at most `limit` assignments, to bound a
// turn; a plan of fewer is whole: nothing else fits.
//
// The plan is the one that a look at every agent for every job would make, but it looks only at what may have changed
// since the last whole plan (NotePlanned): at agents that are freer, and at needs that no group had then. Whatever else
// waits did not fit then, and what it did not fit on has not become freer.
std::vector<Assignment> MakePlan(const State& state, std::size_t limit);

}  // namespace furrow
