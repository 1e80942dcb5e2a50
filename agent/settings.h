// What the reactor, and people who ask systemd, are told of the configuration and the state.
#pragma once

#include <filesystem>
#include <string>

#include "agent/state/state.h"
#include "common/daemon/config.h"
#include "common/transport/transport.h"

namespace furrow {

// The name that people see: the configured one, else that of the enrolment, else the host's.
std::string NameOf(const AgentConfig& config);

// `programs`: the folder that furrow-agent lies in. Reads the environment and looks for a shell.
AgentSettings SettingsOf(const AgentConfig& config, const std::filesystem::path& programs);

// One line for `systemctl status`: the controller, whether it hears us, the jobs.
std::string StatusLine(const AgentState& state, const std::string& controller, LinkState link);

}  // namespace furrow
