// Derives the reactor's settings from the configuration, and systemd's status line from the state.
#pragma once

#include <filesystem>
#include <string>

#include "agent/state/state.h"
#include "common/daemon/config.h"
#include "common/transport/transport.h"

namespace furrow {

// Returns the agent's name for people: the configured one, else the enrolment's, else the host's.
std::string NameOf(const AgentConfig& config);

// Derives the settings; reads the environment and looks for a shell. `programs`: the folder of furrow-agent.
AgentSettings SettingsOf(const AgentConfig& config, const std::filesystem::path& programs);

// Returns one line for `systemctl status`: the controller, the state of the connection, the jobs.
std::string StatusLine(const AgentState& state, const std::string& controller, LinkState link);

}  // namespace furrow
