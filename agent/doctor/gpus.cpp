#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "agent/doctor/doctor.h"
#include "common/doctor/files.h"

namespace furrow::doctor {
namespace {

namespace fs = std::filesystem;

std::string FirstWord(const fs::path& file) {
  std::string word;
  std::ifstream(file) >> word;
  return word;
}

// Counts NVIDIA's display controllers; NVIDIA's bridges and audio functions are no GPUs.
std::size_t CountPluggedIn(const std::string& sys) {
  std::size_t count = 0;
  std::error_code ignored;
  for (const auto& device : fs::directory_iterator(sys + "/bus/pci/devices", ignored))
    if (FirstWord(device.path() / "vendor") == "0x10de" && FirstWord(device.path() / "class").starts_with("0x03"))
      ++count;
  return count;
}

bool IsGpuFile(const std::string& name) {
  return name.starts_with("nvidia") && name.size() > 6 && name.find_first_not_of("0123456789", 6) == std::string::npos;
}

// Returns the first word of digits and dots in a line like "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.183.01
// Sun May 12 …".
std::string ModuleVersion(const std::string& proc) {
  std::string line, word;
  std::getline(std::ifstream(proc + "/driver/nvidia/version"), line);
  std::istringstream words(line);
  while (words >> word)
    if (word.find('.') != std::string::npos && word.find_first_not_of("0123456789.") == std::string::npos) return word;
  return line.empty() ? "" : "of an unknown version";
}

std::string Counted(std::size_t count) {
  return std::to_string(count) + (count == 1 ? " NVIDIA GPU" : " NVIDIA GPUs");
}

std::string Listed(const Offer& offer) {
  std::string message;
  for (const Gpu& gpu : offer.gpus)
    message += (message.empty() ? "" : ", ") + gpu.model + " (" + Size(gpu.memory_bytes) + ", " + gpu.uuid + ")";
  return message;
}

constexpr const char* kDriverCure =
    "apt install nvidia-driver firmware-misc-nonfree (Debian's non-free component), then reboot; nvidia-smi must work";

// Explains why a GPU is present but cannot be used; nullopt: none of the facts explains that.
std::optional<Finding> CheckDriver(const GpuFacts& facts) {
  const std::string present = Counted(facts.plugged_in) + " on the PCI bus";
  if (facts.plugged_in > 0 && facts.kernel_module.empty())
    return Wrong(
        "driver", present + ", but NVIDIA's kernel module is not loaded",
        std::string("modprobe nvidia; dmesg | grep -i nvrm says why that fails. Without a driver: ") + kDriverCure);
  if (!facts.kernel_module.empty() && facts.device_files == 0)
    return Wrong("driver", "NVIDIA's kernel module " + facts.kernel_module + " is loaded, but there is no /dev/nvidia0",
                 "nvidia-modprobe -c 0 -u");
  if (!facts.forbidden.empty())
    return Wrong("driver", facts.forbidden + " may not be opened by the user that runs doctor",
                 "ls -l /dev/nvidia*; usually: usermod -aG video furrow-agent && systemctl restart furrow-agent");
  return std::nullopt;
}

}  // namespace

GpuFacts LookAtGpus(const AgentConfig& config, const GpuPaths& paths) {
  GpuFacts facts;
  facts.plugged_in = CountPluggedIn(paths.sys);
  facts.kernel_module = ModuleVersion(paths.proc);
  std::error_code ignored;
  for (const auto& file : fs::directory_iterator(paths.dev, ignored)) {
    if (!IsGpuFile(file.path().filename())) continue;
    ++facts.device_files;
    if (::access(file.path().c_str(), R_OK | W_OK) != 0 && errno == EACCES) facts.forbidden = file.path();
  }
  facts.detected = devices::DetectDevices(config);
  return facts;
}

Findings CheckGpus(const AgentConfig& config, const GpuFacts& facts) {
  if (config.gpus == GpuChoice::kNone) {
    if (facts.plugged_in > 0)
      return {Warning("GPUs", Counted(facts.plugged_in) + " on the PCI bus, but offer.gpus is none",
                      "set offer.gpus to auto, if jobs may use them")};
    return {Ok("GPUs", "none are offered, as configured")};
  }
  Findings findings;
  const std::optional<Finding> driver = CheckDriver(facts);
  if (driver) findings.push_back(*driver);
  if (!facts.detected) {
    findings.push_back(Wrong("GPUs", facts.detected.error().message,
                             config.gpus == GpuChoice::kListed
                                 ? "nvidia-smi -L lists those that are there; then correct offer.gpus, or mend the GPU"
                             : facts.plugged_in == 0
                                 ? "lspci -d 10de: must show a GPU; if this machine has none, set offer.least_gpus to 0"
                                 : kDriverCure));
    return findings;
  }
  const devices::Detected& detected = *facts.detected;
  for (const devices::GpuState& state : detected.gpus)
    if (!state.fault.empty())
      findings.push_back(
          Wrong("GPU " + std::to_string(state.index), state.fault, "nvidia-smi -q -i " + std::to_string(state.index)));
  if (detected.gpus.empty()) {
    for (const std::string& warning : detected.warnings)
      if (warning.find("GPU") != std::string::npos) findings.push_back(Wrong("GPUs", warning, kDriverCure));
    if (findings.empty() && facts.plugged_in > 0)
      findings.push_back(Wrong("GPUs",
                               Counted(facts.plugged_in) + " on the PCI bus, but NVIDIA's management library "
                                                           "(libnvidia-ml.so.1) is not installed",
                               kDriverCure));
    if (findings.empty()) findings.push_back(Ok("GPUs", "this machine has none; offer.least_gpus expects none"));
    return findings;
  }
  if (!facts.kernel_module.empty() && !detected.driver_version.empty() && !driver)
    findings.push_back(Ok("driver", "NVIDIA " + detected.driver_version));
  if (detected.gpus.size() < facts.plugged_in && detected.offer.gpus.size() == detected.gpus.size())
    findings.push_back(Warning(
        "GPUs",
        Counted(facts.plugged_in) + " on the PCI bus, but the driver has " + std::to_string(detected.gpus.size()),
        "dmesg | grep -i -e nvrm -e xid"));
  if (!detected.offer.gpus.empty()) findings.push_back(Ok("GPUs", Listed(detected.offer)));
  return findings;
}

}  // namespace furrow::doctor
