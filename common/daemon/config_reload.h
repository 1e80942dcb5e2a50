// Says which keys of a configuration may change while a daemon runs.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "common/daemon/config.h"

namespace furrow {

// A ConfigKey is a key as config/*.yaml names it, e.g. "agents.lease".
struct ConfigKey {
  std::string_view name;
  bool at_reload = false;  // true: applies at SIGHUP; false: applies after a restart
  friend bool operator==(const ConfigKey&, const ConfigKey&) = default;
};

// Returns every key, in no particular order.
std::vector<ConfigKey> ControllerKeys();
std::vector<ConfigKey> AgentKeys();

// Sets every key of `running` that may change now to its value in `fresh`. Returns the keys that differ, including
// those that need a restart: they keep their values.
std::vector<ConfigKey> TakeReloadable(ControllerConfig& running, const ControllerConfig& fresh);
std::vector<ConfigKey> TakeReloadable(AgentConfig& running, const AgentConfig& fresh);

// Writes to the log what a reload of `file` changed and what it did not change.
void LogReload(std::string_view file, std::span<const ConfigKey> changed);

}  // namespace furrow
