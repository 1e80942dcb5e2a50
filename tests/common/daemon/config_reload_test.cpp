#include "common/daemon/config_reload.h"

#include <doctest/doctest.h>

#include <fstream>
#include <map>
#include <string>

namespace furrow {
namespace {

// The keys of a configuration file as shipped, "section.key", each with whether its words say (restart): in the comment
// above it or on its line and those that continue it.
std::map<std::string, bool> MarkedKeys(const std::string& path) {
  std::map<std::string, bool> keys;
  std::ifstream file(path);
  std::string line, section, above, last;
  while (std::getline(file, line)) {
    const std::size_t start = line.find_first_not_of(' ');
    if (start == std::string::npos) {
      above.clear();
      continue;
    }
    if (line[start] == '#') {
      if (start > 2 && !last.empty()) {
        keys[last] = keys[last] || line.find("(restart)") != std::string::npos;
      } else {
        above += line;
      }
      continue;
    }
    const std::string key = line.substr(start, line.find(':') - start);
    const std::string value = line.substr(line.find(':') + 1, line.find('#') - line.find(':') - 1);
    if (start == 0) section.clear();
    if (start == 0 && value.find_first_not_of(' ') == std::string::npos) {
      section = key + ".";
      above.clear();
      continue;
    }
    last = section + key;
    keys[last] = (above + line).find("(restart)") != std::string::npos;
    above.clear();
  }
  return keys;
}

std::map<std::string, bool> AsMap(const std::vector<ConfigKey>& keys) {
  std::map<std::string, bool> map;
  for (const ConfigKey& key : keys) map[std::string(key.name)] = !key.at_reload;
  return map;
}

TEST_CASE("config reload: the shipped files mark exactly the keys that need a restart") {
  CHECK(MarkedKeys(std::string(CONFIG_FOLDER) + "/controller.yaml") == AsMap(ControllerKeys()));
  CHECK(MarkedKeys(std::string(CONFIG_FOLDER) + "/agent.yaml") == AsMap(AgentKeys()));
}

TEST_CASE("config reload: the controller takes what may change and keeps the rest") {
  ControllerConfig running;
  ControllerConfig fresh;
  fresh.repos_poll = std::chrono::seconds(1);
  fresh.log.level = log::Level::kDebug;
  fresh.lease = std::chrono::hours(1);

  const auto changed = TakeReloadable(running, fresh);

  CHECK(AsMap(changed) ==
        std::map<std::string, bool>{{"repos.poll", false}, {"log.level", false}, {"agents.lease", true}});
  CHECK(running.repos_poll == std::chrono::seconds(1));
  CHECK(running.log.level == log::Level::kDebug);
  CHECK(running.lease == ControllerConfig{}.lease);
  CHECK(AsMap(TakeReloadable(running, fresh)) == std::map<std::string, bool>{{"agents.lease", true}});
}

TEST_CASE("config reload: an agent's list of GPUs is one key") {
  AgentConfig running;
  AgentConfig fresh;
  fresh.gpus = GpuChoice::kListed;
  fresh.gpu_uuids = {"GPU-1"};
  fresh.name = "other";

  const auto changed = TakeReloadable(running, fresh);

  CHECK(changed == std::vector<ConfigKey>{{"name", false}, {"offer.gpus", true}});
  CHECK(running.gpu_uuids == fresh.gpu_uuids);
  CHECK(running.gpus == GpuChoice::kListed);
  CHECK(running.name.empty());
}

TEST_CASE("config reload: nothing changed is nothing to take") {
  ControllerConfig controller;
  AgentConfig agent;
  CHECK(TakeReloadable(controller, ControllerConfig{}).empty());
  CHECK(TakeReloadable(agent, AgentConfig{}).empty());
}

}  // namespace
}  // namespace furrow
