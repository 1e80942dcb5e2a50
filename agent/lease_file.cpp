#include "agent/lease_file.h"

#include <cerrno>
#include <cstdio>
#include <fstream>

#include "common/base/replace_file.h"

namespace furrow {
namespace {

std::string BootId() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  file >> id;
  return id;
}

}  // namespace

std::optional<TimePoint> ReadLease(const std::string& state_folder) {
  std::ifstream file(state_folder + "/lease");
  std::string boot;
  std::int64_t until = 0;
  if (!(file >> boot >> until) || boot != BootId()) return std::nullopt;
  return TimePoint{Duration{until}};
}

Status WriteLease(const std::string& state_folder, TimePoint until) {
  static const std::string boot = BootId();
  const std::string text = boot + " " + std::to_string(until.since_start.count()) + "\n";
  return ReplaceFile(state_folder + "/lease", text, 0600, Durability::kNotSynced);
}

}  // namespace furrow
