#include "agent/torch/optimizer.h"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>
#include <torch/version.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace furrow::steps {
namespace {

// Python's zero_grad() left zeros before 2.0, and leaves nothing since then: a weight that takes no part in a step had
// its momentum and weight decay applied, and now rests.
constexpr bool kIdleWeightsRest = TORCH_VERSION_MAJOR >= 2;

// From 2.1 on, Adam in Python averages gradients by lerp, whose last digits are others.
constexpr bool kAdamLerps = TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 1);

// Does what the kinds of optimizers have in common; Update changes one weight by its gradient.
class EachWeight : public Optimizer {
 public:
  explicit EachWeight(std::vector<at::Tensor> weights) : weights_(std::move(weights)), used_(weights_.size(), false) {}

  void ForgetGradients() override {
    for (at::Tensor& weight : weights_) weight.mutable_grad().reset();
  }

  void Step() override {
    const c10::NoGradGuard no_grad;
    for (std::size_t i = 0; i < weights_.size(); ++i) {
      at::Tensor gradient = weights_[i].grad();
      if (!gradient.defined()) {
        if (kIdleWeightsRest || !used_[i]) continue;
        gradient = at::zeros_like(weights_[i]);
      }
      used_[i] = true;
      Update(i, weights_[i], gradient);
    }
  }

 protected:
  std::size_t size() const { return weights_.size(); }

 private:
  virtual void Update(std::size_t index, at::Tensor& weight, at::Tensor gradient) = 0;

  std::vector<at::Tensor> weights_;
  std::vector<bool> used_;  // whether the weight has had a gradient
};

class SgdOptimizer final : public EachWeight {
 public:
  SgdOptimizer(const Sgd& options, std::vector<at::Tensor> weights)
      : EachWeight(std::move(weights)), options_(options), buffers_(size()) {}

 private:
  void Update(std::size_t index, at::Tensor& weight, at::Tensor gradient) override {
    if (options_.weight_decay != 0) gradient = gradient.add(weight, options_.weight_decay);
    if (options_.momentum != 0) {
      at::Tensor& buffer = buffers_[index];
      if (buffer.defined()) {
        buffer.mul_(options_.momentum).add_(gradient, 1 - options_.dampening);
      } else {
        buffer = gradient.clone();
      }
      gradient = options_.nesterov ? gradient.add(buffer, options_.momentum) : buffer;
    }
    weight.add_(gradient, -options_.lr);
  }

  const Sgd options_;
  std::vector<at::Tensor> buffers_;
};

class AdamOptimizer final : public EachWeight {
 public:
  AdamOptimizer(const Adam& options, std::vector<at::Tensor> weights)
      : EachWeight(std::move(weights)), options_(options), states_(size()) {}

 private:
  struct State {
    std::int64_t step = 0;
    at::Tensor mean;
    at::Tensor square;
    at::Tensor largest_square;  // amsgrad
  };

  void Update(std::size_t index, at::Tensor& weight, at::Tensor gradient) override {
    State& state = states_[index];
    if (state.step++ == 0) {
      state.mean = at::zeros_like(weight);
      state.square = at::zeros_like(weight);
      if (options_.amsgrad) state.largest_square = at::zeros_like(weight);
    }
    if (options_.decoupled) {
      weight.mul_(1 - options_.lr * options_.weight_decay);
    } else if (options_.weight_decay != 0) {
      gradient = gradient.add(weight, options_.weight_decay);
    }
    if (kAdamLerps) {
      state.mean.lerp_(gradient, 1 - options_.beta1);
    } else {
      state.mean.mul_(options_.beta1).add_(gradient, 1 - options_.beta1);
    }
    state.square.mul_(options_.beta2).addcmul_(gradient, gradient, 1 - options_.beta2);
    if (options_.amsgrad) at::maximum_out(state.largest_square, state.largest_square, state.square);
    const auto step = static_cast<double>(state.step);
    const double mean_bias = 1 - std::pow(options_.beta1, step);
    const double square_bias = 1 - std::pow(options_.beta2, step);
    const double root = kAdamLerps ? std::pow(square_bias, 0.5) : std::sqrt(square_bias);
    const at::Tensor& square = options_.amsgrad ? state.largest_square : state.square;
    weight.addcdiv_(state.mean, (square.sqrt() / root).add_(options_.eps), -(options_.lr / mean_bias));
  }

  const Adam options_;
  std::vector<State> states_;
};

}  // namespace

std::unique_ptr<Optimizer> MakeOptimizer(const std::variant<Sgd, Adam>& choice, std::vector<at::Tensor> weights) {
  if (const auto* sgd = std::get_if<Sgd>(&choice)) return std::make_unique<SgdOptimizer>(*sgd, std::move(weights));
  return std::make_unique<AdamOptimizer>(std::get<Adam>(choice), std::move(weights));
}

}  // namespace furrow::steps
