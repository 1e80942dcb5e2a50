// What this machine offers to the farm, by its configuration and by what is found.
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
  Offer offer;                        // healthy devices alone
  std::vector<GpuState> gpus;         // every GPU that was looked at, also sick and unlisted ones
  std::string driver_version;         // NVIDIA's; empty without GPUs
  std::vector<std::string> warnings;  // for the log: what was left out and why, what to do
};

// Looks once; may block for seconds on a sick driver, so before the loop starts or in a thread of its own.
// `gpus: auto` takes what works and warns of the rest; no NVML at all is no warning. With a list every
// GPU in it must be there and healthy: kNotFound names those that are not and the ones that are there,
// kUnavailable that NVML does not work. Fewer healthy GPUs than `least_gpus`: kNotFound, with what is wrong with the
// others. The library is config.nvml, else $FURROW_NVML, else kNvmlLibrary.
Result<Detected> DetectDevices(const AgentConfig& config, const MachineFiles& files = {});

}  // namespace furrow::devices
