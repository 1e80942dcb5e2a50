// Reads a machine's GPUs by NVIDIA's library, which is opened at run time, so that one agent binary serves machines
// with and without GPUs.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/base/error.h"
#include "schemas/agent.h"

namespace furrow::devices {

struct GpuProcess {
  std::uint32_t pid = 0;         // The driver's number: in a container the agent may see another pid.
  std::uint64_t used_bytes = 0;  // bytes of the GPU's memory; 0: not known
  std::string name;              // /proc/PID/comm; empty: the process is gone or not visible

  friend bool operator==(const GpuProcess&, const GpuProcess&) = default;
};

struct GpuState {
  Gpu gpu;                            // Fields that cannot be read stay empty.
  std::uint32_t index = 0;            // NVML's index; a MIG instance has the index of its GPU.
  std::string fault;                  // why the GPU cannot be used, and the cure; empty: healthy
  std::vector<GpuProcess> processes;  // processes that compute on the GPU now, including the agent's jobs
};

// The dynamic linker finds NVIDIA's library by this default name.
inline constexpr const char* kNvmlLibrary = "libnvidia-ml.so.1";

// Holds an open NVML. The object belongs to one thread, which is not the agent's loop: every call may block for seconds
// on a faulty driver.
class Nvml {
 public:
  // Opens `library`, a path or kNvmlLibrary. kNotFound: there is no such library, as usual on a machine without GPUs.
  // kUnavailable: the library does not work; the message has the reason and the cure.
  static Result<std::unique_ptr<Nvml>> Open(const std::string& library);
  ~Nvml();
  Nvml(const Nvml&) = delete;
  Nvml& operator=(const Nvml&) = delete;

  // Returns every GPU in NVML's order; the MIG instances of a GPU stand in its place. A faulty GPU is in the list with
  // its fault. An error means that the GPUs cannot even be counted.
  Result<std::vector<GpuState>> Read();

  const std::string& driver_version() const;  // "535.183.01"; empty: not known

  struct Impl;

 private:
  explicit Nvml(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace furrow::devices
