// What both steps need of Torch: threads, devices, batches, losses, its errors in one line.
#pragma once

#include <cstdint>
#include <exception>
#include <span>
#include <string>

#include "agent/torch/dataset.h"
#include "agent/torch/spec.h"
#include "common/base/error.h"

namespace at {
class Tensor;
}

namespace furrow::steps {

// Sets memory allocation and CPU threads for this process (0: OMP_NUM_THREADS, else every CPU it
// may run on). Call once, before anything else of Torch.
void PrepareProcess(int threads);

// The device of a step as Torch names it: "cpu" or "cuda:0". kUnavailable: a GPU is asked for, but
// none is visible.
Result<std::string> SelectDevice(DeviceChoice choice);

// For --describe: Torch's version, its devices, threads and quantised engines; several lines.
std::string DescribeTorch();

// What a Torch exception says, in one line, without traceback.
std::string ReasonOf(const std::exception& error);

// The rows' inputs [B, …] or labels ([B] int64, or [B, …] for mse), with the type (inputs, and
// targets of mse) and on the device of `like`.
at::Tensor InputsOf(const Dataset& data, std::span<const std::int64_t> rows, const at::Tensor& like);
at::Tensor LabelsOf(const Dataset& data, std::span<const std::int64_t> rows, const at::Tensor& like);

// Whether `output` can be compared with `labels` at all: [B, classes] that has every class of
// `data`, or for mse as many values as there are. The message has both shapes.
Status CheckOutput(const Dataset& data, Loss loss, const at::Tensor& output, const at::Tensor& labels);

// The mean loss of one batch, a tensor of one value. For CheckOutput's good cases only.
at::Tensor LossOf(Loss loss, const at::Tensor& output, const at::Tensor& labels);

}  // namespace furrow::steps
