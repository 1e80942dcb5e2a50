// The plan as it is documented, made in the plainest way: it looks at every agent for every job. Tests compare the
// scheduler with it.
#pragma once

#include <cstddef>
#include <vector>

#include "controller/state/assignment.h"
#include "controller/state/state.h"

namespace furrow::testing {

std::vector<Assignment> ReferencePlan(const State& state, std::size_t limit);

}  // namespace furrow::testing
