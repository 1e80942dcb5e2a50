// These functions derive settings from the configuration and a status line from the state.
#pragma once

#include <filesystem>
#include <string>

#include "common/daemon/config.h"
#include "controller/state/state.h"

namespace furrow {

std::filesystem::path AllowlistOf(const ControllerConfig& config);

Settings SettingsOf(const ControllerConfig& config);

// Returns one line for `systemctl status`: agents, jobs and live runs, and why no work is accepted.
std::string StatusLine(const State& state);

}  // namespace furrow
