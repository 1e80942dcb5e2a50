// Builds the state after a start.
#pragma once

#include "common/base/clock.h"
#include "controller/reactor/outbox.h"
#include "controller/state/restored.h"
#include "controller/state/state.h"

namespace furrow {

// Makes the state from the contents of the store. Jobs that were on agents stay assigned: their leases count again from
// `now`, and the agents are expected to register.
State RestoreState(const Settings& settings, Restored restored, Now now, Outbox& out);

}  // namespace furrow
