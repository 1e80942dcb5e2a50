// Which job goes to which agent. A pure function of the state: it changes nothing and reads no clock.
#pragma once

#include <cstddef>
#include <vector>

#include "controller/state/assignment.h"
#include "controller/state/state.h"

namespace furrow {

// Plans ready jobs in the order of their runs' arrival and, in a run, of the file: each goes to a connected
// agent with its labels, CPUs, memory and GPUs free, shards of a job spread over the agents. A job that
// does not fit now does not hold up smaller ones behind it. Jobs without GPUs whose siblings were short
// (JobGroup::mean_duration) may also be planned ahead onto full agents, for at most
// Settings::prefetch of work each, so that an agent need not wait for us between them.
// At most `limit` assignments, to bound a turn.
std::vector<Assignment> MakePlan(const State& state, std::size_t limit);

}  // namespace furrow
