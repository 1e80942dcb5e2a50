#include "agent/lease_file.h"

#include <cerrno>
#include <cstdio>
#include <fstream>

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
  const std::string path = state_folder + "/lease";
  const std::string part = path + ".part";
  std::ofstream file(part, std::ios::trunc);
  file << boot << ' ' << until.since_start.count() << '\n';
  file.close();
  if (!file) return tl::unexpected<Error>(ErrnoError(part, errno));
  if (std::rename(part.c_str(), path.c_str()) != 0) return tl::unexpected<Error>(ErrnoError(path, errno));
  return {};
}

}  // namespace furrow
