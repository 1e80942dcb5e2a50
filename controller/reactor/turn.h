// What a turn of the loop does beside the messages and events that it brings: time, planning, new settings.
#pragma once

#include "common/base/clock.h"
#include "controller/reactor/outbox.h"
#include "controller/state/state.h"

namespace furrow {

// Leases that ran out, repositories to look at. Called about once a heartbeat or more often.
void OnTick(State& state, Outbox& out, Now now);

// The settings changed while we run. Heartbeat and lease are promises to agents and stay as they are.
void OnSettings(State& state, const Settings& settings);

// The end of a turn: plans if anything changed, tells watchers. Called once, last.
void EndTurn(State& state, Outbox& out, Now now);

}  // namespace furrow
