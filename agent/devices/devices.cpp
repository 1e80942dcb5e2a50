#include "agent/devices/devices.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

namespace furrow::devices {
namespace {

std::string NvmlPath(const AgentConfig& config) {
  if (!config.nvml.empty()) return config.nvml;
  const char* path = std::getenv("FURROW_NVML");
  return path == nullptr || *path == '\0' ? kNvmlLibrary : path;
}

std::string Named(const GpuState& state) {
  std::string name = "GPU " + std::to_string(state.index);
  if (!state.gpu.uuid.empty()) name += " (" + state.gpu.uuid + ")";
  return name;
}

// Lists the UUIDs that are present, in which a person finds a wrong letter of a configured one.
std::string Present(const std::vector<GpuState>& gpus) {
  if (gpus.empty()) return "this machine has none";
  std::string text = "this machine has ";
  for (std::size_t i = 0; i < gpus.size(); ++i) text += (i == 0 ? "" : ", ") + gpus[i].gpu.uuid;
  return text;
}

void OfferHealthy(Detected& detected) {
  for (const GpuState& state : detected.gpus) {
    if (state.fault.empty()) {
      detected.offer.gpus.push_back(state.gpu);
    } else {
      detected.warnings.push_back(Named(state) + " is not offered: " + state.fault);
    }
  }
}

Status OfferListed(const std::vector<std::string>& uuids, Detected& detected) {
  std::string problems;
  const auto problem = [&](const std::string& message) { problems += (problems.empty() ? "" : "; ") + message; };
  for (const std::string& uuid : uuids) {
    const auto state = std::find_if(detected.gpus.begin(), detected.gpus.end(),
                                    [&](const GpuState& one) { return one.gpu.uuid == uuid; });
    if (state == detected.gpus.end()) {
      problem("there is no GPU " + uuid);
    } else if (!state->fault.empty()) {
      problem(Named(*state) + ": " + state->fault);
    }
  }
  // A lost GPU has no readable UUID, and may be a GPU that the list names.
  for (const GpuState& state : detected.gpus) {
    if (state.gpu.uuid.empty() && !problems.empty()) problem(Named(state) + ": " + state.fault);
  }
  if (!problems.empty()) {
    return Fail(Errc::kNotFound, "GPUs of the configuration (offer.gpus): " + problems + "; " + Present(detected.gpus));
  }
  for (const GpuState& state : detected.gpus) {
    if (std::find(uuids.begin(), uuids.end(), state.gpu.uuid) != uuids.end()) {
      detected.offer.gpus.push_back(state.gpu);
    }
  }
  return {};
}

Status DetectGpus(const AgentConfig& config, Detected& detected) {
  if (config.gpus == GpuChoice::kNone) return {};
  const std::string path = NvmlPath(config);
  const bool listed = config.gpus == GpuChoice::kListed;

  auto nvml = Nvml::Open(path);
  if (!nvml) {
    const bool no_driver = nvml.error().code == Errc::kNotFound && path == kNvmlLibrary;
    if (listed) return tl::unexpected(Annotate(nvml.error(), "GPUs of the configuration (offer.gpus) cannot be used"));
    if (!no_driver) detected.warnings.push_back("no GPUs are offered: " + nvml.error().message);
    return {};
  }
  detected.driver_version = (*nvml)->driver_version();
  auto gpus = (*nvml)->Read();
  if (!gpus) {
    if (listed) return tl::unexpected(std::move(gpus).error());
    detected.warnings.push_back("no GPUs are offered: " + gpus.error().message);
    return {};
  }
  detected.gpus = std::move(*gpus);
  if (listed) return OfferListed(config.gpu_uuids, detected);
  OfferHealthy(detected);
  return {};
}

Status CheckLeast(std::uint32_t least, const Detected& detected) {
  const std::size_t healthy = detected.offer.gpus.size();
  if (healthy >= least) return {};
  std::string message = "offer.least_gpus is " + std::to_string(least) + ", but " +
                        (healthy == 0 ? "no GPU" : "only " + std::to_string(healthy)) + " can be offered";
  for (const GpuState& state : detected.gpus)
    if (!state.fault.empty()) message += "; " + Named(state) + ": " + state.fault;
  if (detected.gpus.empty()) {
    // A warning about GPUs, if there is one, explains the lack of GPUs.
    const auto why = std::find_if(detected.warnings.begin(), detected.warnings.end(),
                                  [](const std::string& one) { return one.find("GPU") != std::string::npos; });
    message += why != detected.warnings.end() ? "; " + *why
                                              : ": NVIDIA's driver is not installed here, or the machine has no GPU "
                                                "(lspci -d 10de: shows those that are plugged in)";
  }
  return Fail(Errc::kNotFound, message + "; furrow-agent doctor says more");
}

}  // namespace

Result<Detected> DetectDevices(const AgentConfig& config, const MachineFiles& files) {
  Detected detected;
  const std::uint32_t cpu_milli = UsableCpuMilli(files);
  FURROW_ASSIGN(const std::uint64_t memory_bytes, UsableMemory(files));
  detected.offer.cpu_milli = config.cpu_milli == 0 ? cpu_milli : config.cpu_milli;
  detected.offer.memory_bytes = config.memory_bytes == 0 ? memory_bytes : config.memory_bytes;
  detected.offer.labels = config.labels;
  if (detected.offer.cpu_milli > cpu_milli) {
    detected.warnings.push_back("offer.cpus is " + std::to_string(config.cpu_milli) +
                                " thousandths, this process has " + std::to_string(cpu_milli) +
                                ": jobs will share CPUs");
  }
  if (detected.offer.memory_bytes > memory_bytes) {
    detected.warnings.push_back("offer.memory is " + std::to_string(config.memory_bytes) + " bytes, this process has " +
                                std::to_string(memory_bytes) + ": jobs may be killed for want of memory");
  }
  FURROW_TRY(DetectGpus(config, detected));
  FURROW_TRY(CheckLeast(config.least_gpus, detected));
  return detected;
}

}  // namespace furrow::devices
