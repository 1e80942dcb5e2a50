// Declares the steps' view of a model, independent of its format. The only format so far is TorchScript.
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

// Owns the module's weights. Only one thread may use the object.
class Model {
 public:
  virtual ~Model() = default;

  // Computes one tensor from inputs [B, …]. kInvalid: the module does not accept such inputs or returns no tensor; the
  // message has the shapes of the module's first weight and of `inputs`. kUnavailable: memory ran out.
  virtual Result<at::Tensor> Forward(const at::Tensor& inputs) = 0;

  // Returns every parameter that requires a gradient, for the optimizer; the tensors share the model's memory.
  // kInvalid: there is none, or a parameter is no floating-point number; the message names the parameter.
  virtual Result<std::vector<at::Tensor>> Trainable() = 0;

  // Returns a tensor without values, with the type and device that Forward requires of its inputs.
  virtual at::Tensor InputOptions() = 0;

  // Sets training mode (dropout, batch statistics) or evaluation mode.
  virtual void SetTraining(bool training) = 0;

  // Writes the model to `path`, for the CPU and in the mode in which it was loaded. The file is synced and gets its
  // name when it is complete; on failure `path` is unchanged. Moves the model to the CPU.
  virtual Status Save(const std::string& path) = 0;
};

// Loads `path` onto `device` ("cpu", "cuda:0"). kNotFound: no such file. kInvalid: the file is no TorchScript; the
// message says what the file is and how to make a TorchScript file.
Result<std::unique_ptr<Model>> LoadModel(const std::string& path, std::string_view device);

}  // namespace furrow::steps
