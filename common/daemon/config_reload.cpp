#include "common/daemon/config_reload.h"

#include <string>

namespace furrow {
namespace {

// A Field describes one member of a configuration. A key that is read into two members has two Fields.
template <class Config>
struct Field {
  ConfigKey key;
  bool (*same)(const Config&, const Config&);
  void (*take)(Config& to, const Config& from);
};

template <class Config, auto member>
constexpr Field<Config> Of(std::string_view name, bool at_reload) {
  return {{name, at_reload},
          [](const Config& a, const Config& b) { return a.*member == b.*member; },
          [](Config& to, const Config& from) { to.*member = from.*member; }};
}

template <class Config, auto member>
constexpr Field<Config> OfLog(std::string_view name) {
  return {{name, true},
          [](const Config& a, const Config& b) { return a.log.*member == b.log.*member; },
          [](Config& to, const Config& from) { to.log.*member = from.log.*member; }};
}

constexpr bool kReload = true;
constexpr bool kRestart = false;

// The heartbeat and the lease are promises: an agent that is away uses the values that it was given, so a shorter lease
// would start its jobs elsewhere while they still run on this agent.
using C = ControllerConfig;
constexpr Field<C> kControllerFields[] = {
    Of<C, &C::listen>("listen", kRestart),
    Of<C, &C::control_port>("ports.control", kRestart),
    Of<C, &C::bulk_port>("ports.bulk", kRestart),
    Of<C, &C::enrol_port>("ports.enrol", kRestart),
    Of<C, &C::advertise>("advertise", kRestart),
    Of<C, &C::state>("state", kRestart),
    Of<C, &C::key>("key", kRestart),
    Of<C, &C::allowlist>("allowlist", kRestart),
    Of<C, &C::heartbeat>("agents.heartbeat", kRestart),
    Of<C, &C::lease>("agents.lease", kRestart),
    Of<C, &C::max_agents>("agents.max", kReload),
    Of<C, &C::prefetch>("agents.prefetch", kReload),
    Of<C, &C::log_quota_bytes>("jobs.log_quota", kReload),
    Of<C, &C::keep_finished_runs>("runs.keep_in_memory", kReload),
    Of<C, &C::event_days>("events.keep_days", kReload),
    Of<C, &C::disk_low_bytes>("disk.low", kReload),
    Of<C, &C::ballast_bytes>("disk.ballast", kRestart),
    Of<C, &C::repos_poll>("repos.poll", kReload),
    Of<C, &C::repos_timeout>("repos.timeout", kReload),
    Of<C, &C::repos_allow>("repos.allow", kReload),
    OfLog<C, &LogConfig::level>("log.level"),
    OfLog<C, &LogConfig::file>("log.file"),
};

using A = AgentConfig;
constexpr Field<A> kAgentFields[] = {
    Of<A, &A::name>("name", kRestart),
    Of<A, &A::controller_control>("controller.control", kRestart),
    Of<A, &A::controller_bulk>("controller.bulk", kRestart),
    Of<A, &A::controller_key>("controller.key", kRestart),
    Of<A, &A::controller_key_file>("controller.key_file", kRestart),
    Of<A, &A::state>("state", kRestart),
    Of<A, &A::key>("key", kRestart),
    Of<A, &A::cpu_milli>("offer.cpus", kReload),
    Of<A, &A::memory_bytes>("offer.memory", kReload),
    Of<A, &A::gpus>("offer.gpus", kReload),
    Of<A, &A::gpu_uuids>("offer.gpus", kReload),
    Of<A, &A::least_gpus>("offer.least_gpus", kReload),
    Of<A, &A::labels>("offer.labels", kReload),
    Of<A, &A::cache_bytes>("cache", kReload),
    Of<A, &A::disk_low_bytes>("disk.low", kReload),
    Of<A, &A::kill_grace>("jobs.kill_grace", kReload),
    Of<A, &A::log_quota_bytes>("jobs.log_quota", kReload),
    Of<A, &A::env>("jobs.env", kReload),
    Of<A, &A::torch>("torch", kReload),
    Of<A, &A::nvml>("nvml", kReload),
    OfLog<A, &LogConfig::level>("log.level"),
    OfLog<A, &LogConfig::file>("log.file"),
};

void AddOnce(std::vector<ConfigKey>& keys, const ConfigKey& key) {
  if (keys.empty() || keys.back() != key) keys.push_back(key);
}

template <class Config>
std::vector<ConfigKey> Keys(std::span<const Field<Config>> fields) {
  std::vector<ConfigKey> keys;
  for (const Field<Config>& field : fields) AddOnce(keys, field.key);
  return keys;
}

template <class Config>
std::vector<ConfigKey> Take(std::span<const Field<Config>> fields, Config& running, const Config& fresh) {
  std::vector<ConfigKey> changed;
  for (const Field<Config>& field : fields) {
    if (field.same(running, fresh)) continue;
    AddOnce(changed, field.key);
    if (field.key.at_reload) field.take(running, fresh);
  }
  return changed;
}

}  // namespace

std::vector<ConfigKey> ControllerKeys() {
  return Keys<C>(kControllerFields);
}

std::vector<ConfigKey> AgentKeys() {
  return Keys<A>(kAgentFields);
}

std::vector<ConfigKey> TakeReloadable(ControllerConfig& running, const ControllerConfig& fresh) {
  return Take<C>(kControllerFields, running, fresh);
}

std::vector<ConfigKey> TakeReloadable(AgentConfig& running, const AgentConfig& fresh) {
  return Take<A>(kAgentFields, running, fresh);
}

void LogReload(std::string_view file, std::span<const ConfigKey> changed) {
  std::string applied;
  for (const ConfigKey& key : changed) {
    if (key.at_reload)
      applied += (applied.empty() ? "" : ", ") + std::string(key.name);
    else
      log::Warning("{} has changed in {}: it needs a restart and stays as it was until then", key.name, file);
  }
  if (!applied.empty()) log::Info("{} read again; changed: {}", file, applied);
  if (changed.empty()) log::Info("{} read again; nothing changed in it", file);
}

}  // namespace furrow
