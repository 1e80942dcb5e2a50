// Agents that are drained: they keep their jobs and get no new ones.
#pragma once

#include "common/base/clock.h"
#include "controller/reactor/outbox.h"
#include "controller/state/state.h"
#include "schemas/client.h"

namespace furrow {

// Drains or resumes an agent; who drains one that is drained replaces how long for. Answered with what the agent still
// has to do. kNotFound: nobody has this name.
void On(State& state, Outbox& out, Now now, const Asker& asker, const DrainAgent& request);

// Gives jobs again to the agents whose time is over.
void ResumeDrained(State& state, Outbox& out, Now now);

}  // namespace furrow
