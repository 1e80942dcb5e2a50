// Agents as a client is shown them.
#pragma once

#include "common/wire/messages_client.h"
#include "controller/state/state.h"

namespace furrow {

AgentView ViewOf(const State& state, const Agent& agent);

}  // namespace furrow
