// Keeps the lease in a small file across a restart of the agent. Without the file an agent that restarts while the
// controller is away would believe its lease to be new.
#pragma once

#include <optional>
#include <string>

#include "common/base/clock.h"
#include "common/base/error.h"

namespace furrow {

// Returns the lease that was written last in this boot of the machine; nullopt: none. Jobs end with the boot, too.
std::optional<TimePoint> ReadLease(const std::string& state_folder);
// Writes the lease without a sync: a crash of the machine ends the jobs anyway.
Status WriteLease(const std::string& state_folder, TimePoint until);

}  // namespace furrow
