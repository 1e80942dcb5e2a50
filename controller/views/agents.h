// These views show agents to a client.
#pragma once

#include "controller/state/state.h"
#include "schemas/client.h"

namespace furrow {

AgentView ViewOf(const State& state, const Agent& agent);

// Returns the agents that are asked for. A page ends before its frame is full.
AgentList ListOf(const State& state, const ListAgents& request);

}  // namespace furrow
