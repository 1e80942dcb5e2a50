// A model as the steps see it, whatever format it came in. Today one: TorchScript.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/error.h"

namespace at {
class Tensor;
}

namespace furrow::steps {

// Owns the module's weights. Not for more than one thread.
class Model {
 public:
  virtual ~Model() = default;

  // inputs [B, …] → one tensor. kInvalid: the module does not take such inputs or returns no
  // tensor; the message has the shapes of the module's first weight and of `inputs`.
  virtual Result<at::Tensor> Forward(const at::Tensor& inputs) = 0;

  // What an optimizer changes: every parameter that requires a gradient, sharing the model's
  // memory. kInvalid: there is none, or one that is no floating-point number; names it.
  virtual Result<std::vector<at::Tensor>> Trainable() = 0;

  // A tensor without values, of the type and on the device that Forward wants its inputs to have.
  virtual at::Tensor InputOptions() = 0;

  // Training mode (dropout, batch statistics) or evaluation mode.
  virtual void SetTraining(bool training) = 0;

  // Writes the model to `path`, on the CPU and in the mode it was loaded in: whole, synced, under
  // its name only when complete. On failure `path` is as before. Moves the model to the CPU.
  virtual Status Save(const std::string& path) = 0;
};

// Loads `path` onto `device` ("cpu", "cuda:0"). kNotFound: no such file; kInvalid: no TorchScript,
// says what it is instead and how to make one.
Result<std::unique_ptr<Model>> LoadModel(const std::string& path, std::string_view device);

}  // namespace furrow::steps
