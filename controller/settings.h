// What the reactors, and people who ask systemd, are told of the configuration and the state.
#pragma once

#include <filesystem>
#include <string>

#include "common/daemon/config.h"
#include "controller/state/state.h"

namespace furrow {

std::filesystem::path AllowlistOf(const ControllerConfig& config);

Settings SettingsOf(const ControllerConfig& config);

// One line for `systemctl status`: agents, jobs, or why no work is accepted.
std::string StatusLine(const State& state);

}  // namespace furrow
