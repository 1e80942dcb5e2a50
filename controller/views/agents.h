// This view shows an agent to a client.
#pragma once

#include "controller/state/state.h"
#include "schemas/client.h"

namespace furrow {

AgentView ViewOf(const State& state, const Agent& agent);

}  // namespace furrow
