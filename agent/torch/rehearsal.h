// Tries a module on batches before the work starts, so that what cannot go well fails before the first step.
#pragma once

#include <cstdint>
#include <span>

#include "agent/torch/dataset.h"
#include "agent/torch/model_loader.h"
#include "agent/torch/spec.h"

namespace furrow::steps {

// Returns a tensor without values, with the type and device of the inputs: the first of the module's types with which
// it accepts the batch `rows`, as long as there is a choice. The module stays as it is. kInvalid: it accepts none.
Result<at::Tensor> ChooseInputs(Model& model, const Dataset& data, std::span<const std::int64_t> rows);

// Returns the same for training. kInvalid: the module, in training mode, does not accept the last batch of an epoch,
// where that is smaller than the others; the message says how to go on.
Result<at::Tensor> RehearseTraining(const TrainSpec& spec, Model& model, const Dataset& data);

}  // namespace furrow::steps
