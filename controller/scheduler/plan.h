// The scheduler decides which job goes to which agent. A plan is a pure function of the state: planning changes nothing
// and reads no clock.
#pragma once

#include <cstddef>
#include <vector>

#include "controller/state/assignment.h"
#include "controller/state/state.h"

namespace furrow {

// Plans ready jobs in the order of their runs' arrival and, in a run, of the file: each goes to a connected agent that
// carries its labels and has the CPUs, memory and GPUs free, and the shards of a job are spread over the agents. A job
// that does not fit now does not hold up smaller ones behind it. Jobs without GPUs whose siblings were short
// (JobGroup::mean_duration) may also be planned ahead onto full agents, for at most Settings::prefetch of work each, so
// that an agent need not wait for the controller between two jobs. A plan has at most `limit` assignments, to bound a
// turn.
std::vector<Assignment> MakePlan(const State& state, std::size_t limit);

}  // namespace furrow
