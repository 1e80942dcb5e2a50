// Ends the attempts that were running when the runner's predecessor died.
#pragma once

#include "agent/runner/journal.h"
#include "common/base/clock.h"
#include "common/base/error.h"

namespace furrow::runner {

// Kills the processes of every running attempt of the table, and records each attempt as lost. What cannot be read from
// the journal is not "no attempts": processes of this state folder that no entry explains are killed, too, and their
// attempts are added as lost. Blocks until the
// processes are dead, some seconds at most. An error means that the journal cannot be written.
Status EndLost(Table& table, Journal& journal, Now now);

}  // namespace furrow::runner
