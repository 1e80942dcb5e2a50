// A machine's GPUs as NVIDIA's library sees them. The library is opened at run time: one agent binary
// serves machines with and without GPUs.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/base/error.h"
#include "schemas/agent.h"

namespace furrow::devices {

struct GpuProcess {
  std::uint32_t pid = 0;         // as the driver counts: in a container it may not be ours
  std::uint64_t used_bytes = 0;  // of the GPU's memory; 0: not known
  std::string name;              // /proc/PID/comm; empty: gone, or not ours to see

  friend bool operator==(const GpuProcess&, const GpuProcess&) = default;
};

struct GpuState {
  Gpu gpu;                            // what could be read of it
  std::uint32_t index = 0;            // NVML's; a MIG instance has that of its GPU
  std::string fault;                  // why it cannot be used and what to do; empty: healthy
  std::vector<GpuProcess> processes;  // that compute on it now, our own jobs among them
};

// The default name of NVIDIA's library, found by the dynamic linker.
inline constexpr const char* kNvmlLibrary = "libnvidia-ml.so.1";

// An open NVML. Belongs to one thread; every call may block for seconds on a sick driver, so not for
// the agent's loop.
class Nvml {
 public:
  // `library`: a path or kNvmlLibrary. kNotFound: there is no such library, the usual case on a machine
  // without GPUs. kUnavailable: it is there and does not work; the message says why and what to do.
  static Result<std::unique_ptr<Nvml>> Open(const std::string& library);
  ~Nvml();
  Nvml(const Nvml&) = delete;
  Nvml& operator=(const Nvml&) = delete;

  // Every GPU in NVML's order, where MIG is on its instances in its place. A GPU that fails is in the
  // list, with its fault. Fails only if the GPUs cannot even be counted.
  Result<std::vector<GpuState>> Read();

  const std::string& driver_version() const;  // "535.183.01"; empty: not known

  struct Impl;

 private:
  explicit Nvml(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace furrow::devices
