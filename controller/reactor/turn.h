// These functions do the work of a turn beside its messages and events: time, planning, new settings.
#pragma once

#include "common/base/clock.h"
#include "controller/reactor/outbox.h"
#include "controller/state/state.h"

namespace furrow {

// Handles leases that ran out, drains that ran out, revoked agents, and repositories that are due for a look. The loop
// calls OnTick about once a heartbeat or more often.
void OnTick(State& state, Outbox& out, Now now);

// Takes new settings while the controller runs. Heartbeat and lease are promises to agents and stay unchanged.
void OnSettings(State& state, const Settings& settings);

// Ends a turn: plans if anything changed, updates watchers, and forgets old runs. The loop calls EndTurn once, last: a
// Run& or Job& is valid until then.
void EndTurn(State& state, Outbox& out, Now now);

}  // namespace furrow
