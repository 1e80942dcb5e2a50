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

  // Computes what Forward would on a copy of the module, so that no statistics change. The message of an error is the
  // module's reason alone, which Explain makes Forward's. kInternal: the module cannot be copied.
  virtual Result<at::Tensor> Rehearse(const at::Tensor& inputs) = 0;
  virtual Error Explain(const at::Tensor& inputs, const Error& reason) const = 0;

  // Returns every parameter that requires a gradient, for the optimizer: one that has several names once. The tensors
  // share the model's memory. kInvalid: there is none, or one is no floating-point number; the message names it.
  virtual Result<std::vector<at::Tensor>> Trainable() = 0;

  // Returns tensors without values, with the types and the device that Forward may require of its inputs, the likeliest
  // first.
  virtual std::vector<at::Tensor> InputTypes() = 0;

  // Sets training mode (dropout, batch statistics) or evaluation mode.
  virtual void SetTraining(bool training) = 0;

  // Writes the model to `path`, for the CPU and every part in the mode in which it was loaded. The file is synced and
  // gets its name when it is complete; on failure `path` is unchanged. Moves the model to the CPU.
  virtual Status Save(const std::string& path) = 0;
};

// Loads `path` onto `device` ("cpu", "cuda:0"). kNotFound: no such file. kInvalid: the file is no TorchScript; the
// message says what the file is and how to make a TorchScript file.
Result<std::unique_ptr<Model>> LoadModel(const std::string& path, std::string_view device);

}  // namespace furrow::steps
