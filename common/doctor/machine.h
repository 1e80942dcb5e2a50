// Checks the process, its limits, its unit and the machine's clock for doctor.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "common/doctor/doctor.h"

namespace furrow::doctor {

// Returns the process that holds a lock on `file`, by /proc/locks: doctor finds a daemon by its state folder. 0: there
// is none, or it runs in another container.
pid_t HolderOf(const std::filesystem::path& file, const std::string& proc = "/proc");
// Returns the name in /proc/PID/comm; empty: there is no such process.
std::string NameOfProcess(pid_t pid, const std::string& proc = "/proc");

Finding CheckProcess(const std::string& unit, pid_t pid, const std::string& name);

// ---- limits --------------------------------------------------------------------------------------------------

// Limits are a process's hard limits as /proc/PID/limits has them. UINT64_MAX: unlimited. Absent: not known.
struct Limits {
  std::optional<std::uint64_t> files;
  std::optional<std::uint64_t> processes;
  std::optional<std::uint64_t> locked_bytes;
};
Limits ParseLimits(std::string_view text);
Limits LimitsOf(pid_t pid, const std::string& proc = "/proc");  // 0: of this process

struct LimitsDemand {
  std::string unit;
  std::uint64_t files = 0;
  std::string why_files;
  std::uint64_t processes = 0;
  bool pins_memory = false;  // GPU jobs pin memory
};
Findings CheckLimits(const LimitsDemand& demand, const Limits& limits, bool of_daemon);

// ---- the unit ------------------------------------------------------------------------------------------------

// Returns what `systemctl show UNIT` prints. Empty: systemd does not run here, or does not answer.
std::string ShowUnit(const std::string& unit);
// Checks the output of ShowUnit. No value: there is no such unit, which is right if the daemon is started otherwise.
std::optional<Finding> CheckUnit(const std::string& unit, std::string_view shown);

// ---- time ------------------------------------------------------------------------------------------------------

// Returns whether the kernel says that a time service keeps its clock right (adjtimex); absent: the kernel cannot be
// asked.
std::optional<bool> ClockIsKept();
Finding CheckClockIsKept(std::optional<bool> kept);

// `ahead_ms` says how far this machine's clock is ahead of the controller's, known to `within_ms`.
Finding CheckSkew(std::int64_t ahead_ms, std::int64_t within_ms);

// ---- control groups --------------------------------------------------------------------------------------------

struct CgroupFacts {
  int version = 0;  // 0: none is mounted
  std::uint32_t machine_cpus = 0;
  std::uint32_t usable_cpu_milli = 0;
  std::uint64_t machine_bytes = 0;
  std::uint64_t usable_bytes = 0;
};
int CgroupVersion(const std::string& cgroup = "/sys/fs/cgroup");
Finding CheckCgroups(const CgroupFacts& facts);

}  // namespace furrow::doctor
