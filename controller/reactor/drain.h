// These reactors drain agents: a drained agent keeps its jobs and gets no new ones.
#pragma once

#include "common/base/clock.h"
#include "controller/reactor/outbox.h"
#include "controller/state/state.h"
#include "schemas/client.h"

namespace furrow {

// Drains or resumes an agent; draining a drained agent again replaces the duration. The answer says how many jobs the
// agent still has. kNotFound: no agent has this name.
void On(State& state, Outbox& out, Now now, const Asker& asker, const DrainAgent& request);

// Resumes the agents whose drain has run out.
void ResumeDrained(State& state, Outbox& out, Now now);

}  // namespace furrow
