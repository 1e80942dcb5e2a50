// Which keys of a configuration may change while a daemon runs.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "common/daemon/config.h"

namespace furrow {

// A key as config/*.yaml names it, "agents.lease".
struct ConfigKey {
  std::string_view name;
  bool at_reload = false;  // applies at SIGHUP; else after a restart
  friend bool operator==(const ConfigKey&, const ConfigKey&) = default;
};

// Every key, in no particular order.
std::vector<ConfigKey> ControllerKeys();
std::vector<ConfigKey> AgentKeys();

// Sets every key of `running` that may change now to what `fresh` says, and returns the keys that differed, with those
// that need a restart: they stay as they were.
std::vector<ConfigKey> TakeReloadable(ControllerConfig& running, const ControllerConfig& fresh);
std::vector<ConfigKey> TakeReloadable(AgentConfig& running, const AgentConfig& fresh);

// Tells the log what a reload of `file` changed, and what it did not.
void LogReload(std::string_view file, std::span<const ConfigKey> changed);

}  // namespace furrow
