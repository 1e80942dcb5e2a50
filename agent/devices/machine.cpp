#include "agent/devices/machine.h"

#include <sched.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <limits>
#include <memory>
#include <optional>
#include <sstream>
#include <string_view>
#include <vector>

namespace furrow::devices {
namespace {

constexpr std::uint64_t kNoLimit = std::numeric_limits<std::uint64_t>::max();

// Returns the first line of a file; nullopt: the file cannot be read.
std::optional<std::string> FirstLine(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  if (!std::getline(file, line)) return std::nullopt;
  return line;
}

// Parses a count; nullopt for "max", "-1" and any other text.
std::optional<std::uint64_t> Number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// Describes one cgroup hierarchy of the process.
struct Hierarchy {
  bool v2 = false;
  std::string controllers;  // version 1: "cpu,cpuacct"; version 2: empty
  std::string path;         // "/" or "/a/b"
};

bool Has(std::string_view list, std::string_view word) {
  std::istringstream words{std::string(list)};
  for (std::string one; std::getline(words, one, ',');) {
    if (one == word) return true;
  }
  return false;
}

std::vector<Hierarchy> ReadHierarchies(const MachineFiles& files) {
  std::vector<Hierarchy> found;
  std::ifstream file(files.proc + "/" + (files.pid == 0 ? "self" : std::to_string(files.pid)) + "/cgroup");
  for (std::string line; std::getline(file, line);) {  // "4:cpu,cpuacct:/a/b", version 2: "0::/a/b"
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    found.push_back({controllers.empty(), controllers, line.substr(second + 1)});
  }
  return found;
}

// Returns the folders of a controller's cgroups from the process's own up to the root. In a container the path may be
// the host's and not exist; then the root is the container's own cgroup.
std::vector<std::string> Folders(const std::string& mount, std::string path) {
  std::vector<std::string> folders;
  while (path.size() > 1) {
    folders.push_back(mount + path);
    path.resize(path.rfind('/'));
  }
  folders.push_back(mount);
  return folders;
}

// Calls `limit(folder, v2)` for each cgroup that may limit `controller`; returns the smallest answer.
template <class Limit>
std::uint64_t Smallest(const MachineFiles& files, std::string_view controller, Limit limit) {
  std::uint64_t least = kNoLimit;
  const auto look = [&](const std::string& mount, const Hierarchy& hierarchy) {
    for (const std::string& folder : Folders(mount, hierarchy.path)) {
      least = std::min(least, limit(folder, hierarchy.v2));
    }
  };
  for (const Hierarchy& hierarchy : ReadHierarchies(files)) {
    if (hierarchy.v2) {
      look(files.cgroup, hierarchy);
    } else if (Has(hierarchy.controllers, controller)) {
      look(files.cgroup + "/" + hierarchy.controllers, hierarchy);
      if (hierarchy.controllers != controller) look(files.cgroup + "/" + std::string(controller), hierarchy);
    }
  }
  return least;
}

std::uint64_t CpuLimitMilli(const std::string& folder, bool v2) {
  std::string quota;
  std::string period;
  if (v2) {
    std::istringstream words(FirstLine(folder + "/cpu.max").value_or(""));  // "max 100000" or "150000 100000"
    words >> quota >> period;
  } else {
    quota = FirstLine(folder + "/cpu.cfs_quota_us").value_or("");  // -1: no quota
    period = FirstLine(folder + "/cpu.cfs_period_us").value_or("");
  }
  const auto quota_us = Number(quota);
  const auto period_us = Number(period);
  if (!quota_us || !period_us || *period_us == 0) return kNoLimit;
  return *quota_us * 1000 / *period_us;
}

std::uint64_t MemoryLimit(const std::string& folder, bool v2) {
  const auto line = FirstLine(folder + (v2 ? "/memory.max" : "/memory.limit_in_bytes"));
  return line ? Number(*line).value_or(kNoLimit) : kNoLimit;
}

std::uint64_t CpusOfAffinity(pid_t pid) {
  // A machine may have more CPUs than cpu_set_t has bits; the kernel returns EINVAL until the mask is large enough.
  for (int cpus = 1024; cpus <= 1 << 20; cpus *= 2) {
    cpu_set_t* mask = CPU_ALLOC(cpus);
    if (mask == nullptr) break;
    const std::size_t size = CPU_ALLOC_SIZE(cpus);
    const bool done = sched_getaffinity(pid, size, mask) == 0;
    const int count = done ? CPU_COUNT_S(size, mask) : 0;
    CPU_FREE(mask);
    if (done) return static_cast<std::uint64_t>(std::max(count, 1));
  }
  return 1;
}

}  // namespace

std::uint32_t UsableCpuMilli(const MachineFiles& files) {
  const std::uint64_t milli = std::min(CpusOfAffinity(files.pid) * 1000, Smallest(files, "cpu", CpuLimitMilli));
  return static_cast<std::uint32_t>(std::max<std::uint64_t>(milli, 1));
}

Result<std::uint64_t> UsableMemory(const MachineFiles& files) {
  const std::string path = files.proc + "/meminfo";
  std::ifstream file(path);
  for (std::string word; file >> word;) {
    std::uint64_t kib = 0;
    if (word == "MemTotal:" && file >> kib) return std::min(kib * 1024, Smallest(files, "memory", MemoryLimit));
  }
  return Fail(Errc::kInternal, path + " does not say MemTotal: is /proc mounted?");
}

}  // namespace furrow::devices
