// Determines how much CPU and memory a process may use, by the machine, the affinity and every cgroup above the
// process.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "common/base/error.h"

namespace furrow::devices {

// Names the folders of the kernel's files; tests set others.
struct MachineFiles {
  std::string proc = "/proc";
  std::string cgroup = "/sys/fs/cgroup";
  pid_t pid = 0;  // process that the limits apply to; 0: this process
};

// Returns thousandths of a CPU, at least 1: the CPUs of the affinity mask, or a smaller quota of a cgroup (version 1 or
// 2).
std::uint32_t UsableCpuMilli(const MachineFiles& files = {});

// Returns bytes: MemTotal, or a smaller limit of a cgroup. kInternal: /proc/meminfo cannot be read.
Result<std::uint64_t> UsableMemory(const MachineFiles& files = {});

}  // namespace furrow::devices
