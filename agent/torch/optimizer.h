// Updates weights as torch.optim does in Python: the same operations in the same order, so that every digit is the
// same. LibTorch's own optimizers follow Python's of another version.
#pragma once

#include <memory>
#include <variant>
#include <vector>

#include "agent/torch/spec.h"

namespace at {
class Tensor;
}

namespace furrow::steps {

// Owns the state of an optimizer for the weights that it was made for. Only one thread may use the object.
class Optimizer {
 public:
  virtual ~Optimizer() = default;

  // Forgets the gradients, so that the next backward pass writes new ones.
  virtual void ForgetGradients() = 0;

  // Changes each weight by its gradient. A weight without a gradient stays as it is, as in Python.
  virtual void Step() = 0;
};

// Makes the optimizer of a step; every tensor of `weights` is another one.
std::unique_ptr<Optimizer> MakeOptimizer(const std::variant<Sgd, Adam>& choice, std::vector<at::Tensor> weights);

}  // namespace furrow::steps
