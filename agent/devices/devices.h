// Determines the offer of this machine, from its configuration and its devices.
#pragma once

#include <string>
#include <vector>

#include "agent/devices/machine.h"
#include "agent/devices/nvml.h"
#include "common/base/error.h"
#include "common/daemon/config.h"
#include "schemas/agent.h"

namespace furrow::devices {

struct Detected {
  Offer offer;                        // healthy devices only
  std::vector<GpuState> gpus;         // all GPUs, including faulty and unlisted ones
  std::string driver_version;         // version of NVIDIA's driver; empty: none or unknown
  std::vector<std::string> warnings;  // Each warning tells the log what was left out, why, and the cure.
};

// Detects the devices once. The call may block for seconds on a faulty driver, so it runs before the loop starts or in
// a thread of its own. `gpus: auto` offers the healthy GPUs and warns of the others; a missing NVML is no warning. With
// a list every listed GPU must be present and healthy: kNotFound names the GPUs that are not, and the present ones.
// kUnavailable: NVML does not work. Fewer healthy GPUs than `least_gpus`: kNotFound, with the faults of the others. The
// library is config.nvml, else $FURROW_NVML, else kNvmlLibrary.
Result<Detected> DetectDevices(const AgentConfig& config, const MachineFiles& files = {});

}  // namespace furrow::devices
