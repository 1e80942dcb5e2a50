#include "agent/settings.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "agent/join/enrolment.h"
#include "common/base/text.h"
#include "common/base/version.h"

namespace furrow {
std::string NameOf(const AgentConfig& config) {
  if (!config.name.empty()) return config.name;
  const auto enrolment = ReadEnrolment(config.state);
  return enrolment ? enrolment->name : HostName();
}

AgentSettings SettingsOf(const AgentConfig& config, const std::filesystem::path& programs) {
  AgentSettings settings;
  settings.software = std::string("furrow-agent ") + kVersion;
  settings.host = RepairedUtf8(HostName());
  settings.state_folder = config.state;
  for (const std::string& name : config.env)
    if (const char* value = std::getenv(name.c_str())) settings.env.push_back(name + "=" + value);
  settings.shell_is_bash = ::access("/bin/bash", X_OK) == 0;
  settings.shell = settings.shell_is_bash ? "/bin/bash" : "/bin/sh";
  settings.torch_program = config.torch.empty() ? (programs / "furrow-torch").string() : config.torch;
  settings.agent_program = (programs / "furrow-agent").string();
  settings.kill_grace = config.kill_grace;
  settings.log_quota_bytes = config.log_quota_bytes;
  settings.disk_low_bytes = config.disk_low_bytes;
  settings.seed = std::hash<std::string>{}(NameOf(config));
  return settings;
}

std::string StatusLine(const AgentState& state, const std::string& controller, LinkState link) {
  const auto running = std::count_if(state.jobs.begin(), state.jobs.end(),
                                     [](const auto& entry) { return entry.second.OccupiesDevices(); });
  std::string line = "controller " + controller;
  if (!state.refused.empty())
    line += " refuses: " + state.refused;
  else if (link == LinkState::kRefused)
    line += " does not let this agent in; trying again";
  else if (link != LinkState::kConnected)
    line += " is away; trying again";
  else
    line += state.session ? ": registered" : ": registering";
  line += "; " + std::to_string(running) + (running == 1 ? " job runs" : " jobs run");
  const std::size_t others = state.jobs.size() - static_cast<std::size_t>(running);
  if (others > 0) line += ", " + std::to_string(others) + " on the way";
  if (!state.condition.empty()) line += "; no new ones: " + state.condition;
  return line;
}

}  // namespace furrow
