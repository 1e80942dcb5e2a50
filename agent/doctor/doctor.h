// Runs `furrow-agent doctor`: examines this machine, the configuration and the way to the controller, and changes
// nothing.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agent/devices/devices.h"
#include "common/base/run_program.h"
#include "common/daemon/config.h"
#include "common/doctor/doctor.h"

namespace furrow::doctor {

// ---- GPUs ----------------------------------------------------------------------------------------------------

struct GpuFacts {
  std::size_t plugged_in = 0;    // number of NVIDIA's GPUs on the PCI bus
  std::size_t device_files = 0;  // number of files /dev/nvidia0 …
  std::string kernel_module;     // version of the module, by /proc/driver/nvidia/version; empty: not loaded
  std::string forbidden;         // a device file that may not be opened; empty: none
  Result<devices::Detected> detected = devices::Detected{};  // the devices that the agent would offer
};
struct GpuPaths {
  std::string sys = "/sys";
  std::string dev = "/dev";
  std::string proc = "/proc";
};
GpuFacts LookAtGpus(const AgentConfig& config, const GpuPaths& paths = {});
Findings CheckGpus(const AgentConfig& config, const GpuFacts& facts);

// ---- the controller ------------------------------------------------------------------------------------------------

// Checks the enrolment, the way to the controller, the clocks, and whether the controller knows the agent's key.
// `key_file` may be missing. Blocks.
Findings CheckController(const AgentConfig& config, const std::string& key_file);

// ---- workspaces ----------------------------------------------------------------------------------------------

// Describes the folder of an earlier job that the agent could not remove.
struct FolderAside {
  std::string path;
  std::vector<std::string> mounts;  // the places in it where something is mounted
};
std::vector<FolderAside> LookAtWorkspaces(const std::string& state, const std::string& proc = "/proc");
Findings CheckWorkspaces(const std::vector<FolderAside>& aside);

// ---- programs ------------------------------------------------------------------------------------------------

// Checks the output of `furrow-torch --describe`. `offers_gpus`: the program should see GPUs.
Findings CheckTorch(const std::string& program, const Result<ProgramResult>& described, bool offers_gpus);
// Checks the output of `furrow-runner --version` against the agent's own `version`.
Finding CheckRunner(const std::string& program, const Result<ProgramResult>& said, const std::string& version);

// ---- the whole examination -------------------------------------------------------------------------------------

// Makes the whole report. `config`: the configuration of `config_file`, or the error in the file. Blocks, for some
// seconds if a machine does not answer.
Report ExamineAgent(const std::string& config_file, const Result<AgentConfig>& config, const std::string& programs);

}  // namespace furrow::doctor
