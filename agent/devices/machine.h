// How much CPU and memory a process may use: of the machine, its affinity, and every cgroup above it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "common/base/error.h"

namespace furrow::devices {

// Where the kernel's files are; another place in tests.
struct MachineFiles {
  std::string proc = "/proc";
  std::string cgroup = "/sys/fs/cgroup";
  pid_t pid = 0;  // whose limits; 0: this process
};

// Thousandths of a CPU, at least 1: the CPUs of the affinity mask, less where a cgroup's quota
// (version 1 or 2) is smaller.
std::uint32_t UsableCpuMilli(const MachineFiles& files = {});

// Bytes: MemTotal, less where a cgroup's limit is smaller. kInternal: /proc/meminfo cannot be read.
Result<std::uint64_t> UsableMemory(const MachineFiles& files = {});

}  // namespace furrow::devices
