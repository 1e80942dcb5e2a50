// What a machine offers for jobs: plain structs that the devices, the protocol and the scheduler share.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace furrow {

// One GPU, or one MIG instance where a GPU is partitioned.
struct Gpu {
  std::string uuid;                // as NVML prints it, "GPU-…" or "MIG-…": what CUDA_VISIBLE_DEVICES accepts
  std::string model;               // "NVIDIA H100 80GB HBM3"
  std::uint64_t memory_bytes = 0;  // 0: not known; fits no job that demands GPU memory

  friend bool operator==(const Gpu&, const Gpu&) = default;
};

struct Offer {
  std::uint32_t cpu_milli = 0;     // thousandths of a CPU; 0 offers none
  std::uint64_t memory_bytes = 0;  // main memory that jobs may use together
  std::vector<Gpu> gpus;           // in NVML's order; empty without GPUs
  std::vector<std::string> labels;

  friend bool operator==(const Offer&, const Offer&) = default;
};

}  // namespace furrow
