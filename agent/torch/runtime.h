// Gives both steps their access to Torch: threads, devices, batches, losses and one-line errors.
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

// Sets memory allocation and CPU threads for this process (0: OMP_NUM_THREADS, else every CPU that the process may run
// on). The program calls it once, before any other function of Torch.
void PrepareProcess(int threads);

// Returns Torch's name of a step's device: "cpu" or "cuda:0". kUnavailable: the step requires a GPU, but none is
// visible.
Result<std::string> SelectDevice(DeviceChoice choice);

// Returns the lines for --describe: Torch's version, devices, threads and quantised engines.
std::string DescribeTorch();

// Returns the message of a Torch exception in one line, without the traceback: what a module raises itself with the
// exception's class, and the line that raised it if it says nothing.
std::string ReasonOf(const std::exception& error);

// Return the rows' inputs [B, …] or labels ([B] int64, or [B, …] for mse) on the device of `like`; inputs and targets
// of mse have the type of `like`, too.
at::Tensor InputsOf(const Dataset& data, std::span<const std::int64_t> rows, const at::Tensor& like);
at::Tensor LabelsOf(const Dataset& data, std::span<const std::int64_t> rows, const at::Tensor& like);

// Checks that `output` can be compared with `labels`: its shape is [B, classes], or for mse it has as many values as
// `labels`. The message has both shapes.
Status CheckOutput(const Dataset& data, Loss loss, const at::Tensor& output, const at::Tensor& labels);

// Checks what need not be checked again for each batch: every class of `data` is in `output`, and for nll the values
// can be logarithms of probabilities. The output must have passed CheckOutput.
Status CheckMeaning(const Dataset& data, Loss loss, const at::Tensor& output);

// Returns the mean loss of one batch as a tensor of one value. The output must have passed CheckOutput.
at::Tensor LossOf(Loss loss, const at::Tensor& output, const at::Tensor& labels);

}  // namespace furrow::steps
