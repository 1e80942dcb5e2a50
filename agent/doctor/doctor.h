// `furrow-agent doctor`: examines this machine, the configuration and the way to the controller. Changes nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "agent/devices/devices.h"
#include "common/base/run_program.h"
#include "common/daemon/config.h"
#include "common/doctor/doctor.h"

namespace furrow::doctor {

// ---- GPUs ----------------------------------------------------------------------------------------------------

struct GpuFacts {
  std::size_t plugged_in = 0;    // NVIDIA's GPUs on the PCI bus
  std::size_t device_files = 0;  // /dev/nvidia0 …
  std::string kernel_module;     // its version, by /proc/driver/nvidia/version; empty: not loaded
  std::string forbidden;         // a device file that may not be opened; empty: none
  Result<devices::Detected> detected = devices::Detected{};  // as the agent would offer them
};
struct GpuPaths {
  std::string sys = "/sys";
  std::string dev = "/dev";
  std::string proc = "/proc";
};
GpuFacts LookAtGpus(const AgentConfig& config, const GpuPaths& paths = {});
Findings CheckGpus(const AgentConfig& config, const GpuFacts& facts);

// ---- the controller ------------------------------------------------------------------------------------------------

// Enrolment, reachability, clocks, whether our key is known. `key_file`: may be missing. Blocks.
Findings CheckController(const AgentConfig& config, const std::string& key_file);

// ---- programs ------------------------------------------------------------------------------------------------

// What `furrow-torch --describe` said. `offers_gpus`: it should see some.
Findings CheckTorch(const std::string& program, const Result<ProgramResult>& described, bool offers_gpus);
// What `furrow-runner --version` said; `version` is ours.
Finding CheckRunner(const std::string& program, const Result<ProgramResult>& said, const std::string& version);

// ---- all of it -------------------------------------------------------------------------------------------------

// `config`: as read from `config_file`, or what is wrong with it. Blocks, for some seconds where machines do not
// answer.
Report ExamineAgent(const std::string& config_file, const Result<AgentConfig>& config, const std::string& programs);

}  // namespace furrow::doctor
