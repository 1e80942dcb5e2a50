#include "controller/settings.h"

namespace furrow {
namespace {

std::string Counted(std::size_t count, const std::string& what) {
  return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

}  // namespace

std::filesystem::path AllowlistOf(const ControllerConfig& config) {
  return config.allowlist.empty() ? std::filesystem::path(config.state) / "allowlist"
                                  : std::filesystem::path(config.allowlist);
}

Settings SettingsOf(const ControllerConfig& config) {
  Settings settings;
  settings.heartbeat = config.heartbeat;
  settings.lease = config.lease;
  settings.prefetch = config.prefetch;
  settings.repository_poll = config.repos_poll.count() == 0 ? Duration::max() : Duration(config.repos_poll);
  settings.log_quota_bytes = config.log_quota_bytes;
  settings.max_agents = config.max_agents;
  settings.keep_finished_runs = config.keep_finished_runs;
  return settings;
}

std::string StatusLine(const State& state) {
  const std::size_t away = state.agents.size() - state.sessions.size();
  std::size_t jobs = 0;
  for (const auto& [id, run] : state.runs) jobs += run.running;
  const std::size_t live = state.runs.size() - state.ended.size();
  std::string line = Counted(state.agents.size(), "agent");
  if (away > 0) line += " (" + std::to_string(away) + " away)";
  line += ", " + Counted(jobs, "job") + " on them, " + Counted(live, "live run");
  if (!state.refusing.empty()) line = "no new work: " + state.refusing + "; " + line;
  return line;
}

}  // namespace furrow
