// The lease survives a restart of the agent in a small file: without it an agent that restarts while the
// controller is away would believe its lease to be new.
#pragma once

#include <optional>
#include <string>

#include "common/base/clock.h"
#include "common/base/error.h"

namespace furrow {

// The lease noted last in this boot of the machine; nullopt: none (jobs do not survive a boot either).
std::optional<TimePoint> ReadLease(const std::string& state_folder);
// Not synced: a crash of the machine ends the jobs anyway.
Status WriteLease(const std::string& state_folder, TimePoint until);

}  // namespace furrow
