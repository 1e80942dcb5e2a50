// What a new runner does about the attempts that its predecessor was running when it died.
#pragma once

#include "agent/runner/journal.h"
#include "common/base/clock.h"
#include "common/base/error.h"

namespace furrow::runner {

// Kills what is left of every running attempt of the table, and records each as lost. Blocks until the processes are
// dead, some seconds at most. On failure the journal could not be written.
Status EndLost(Table& table, Journal& journal, Now now);

}  // namespace furrow::runner
