#include <torch/optim/adam.h>
#include <torch/optim/adamw.h>
#include <torch/optim/sgd.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <memory>
#include <numeric>
#include <random>

#include "agent/torch/dataset.h"
#include "agent/torch/model_loader.h"
#include "agent/torch/runtime.h"
#include "agent/torch/steps.h"

namespace furrow::steps {
namespace {

using Stopwatch = std::chrono::steady_clock;

double SecondsSince(Stopwatch::time_point start) {
  return std::max(1e-9, std::chrono::duration<double>(Stopwatch::now() - start).count());
}

std::unique_ptr<torch::optim::Optimizer> MakeOptimizer(const TrainSpec& spec, const std::vector<at::Tensor>& weights) {
  if (const auto* sgd = std::get_if<Sgd>(&spec.optimizer)) {
    return std::make_unique<torch::optim::SGD>(weights, torch::optim::SGDOptions(sgd->lr)
                                                            .momentum(sgd->momentum)
                                                            .dampening(sgd->dampening)
                                                            .weight_decay(sgd->weight_decay)
                                                            .nesterov(sgd->nesterov));
  }
  const auto& adam = std::get<Adam>(spec.optimizer);
  const auto fill = [&](auto options) {
    return options.betas({adam.beta1, adam.beta2}).eps(adam.eps).weight_decay(adam.weight_decay).amsgrad(adam.amsgrad);
  };
  if (adam.decoupled) return std::make_unique<torch::optim::AdamW>(weights, fill(torch::optim::AdamWOptions(adam.lr)));
  return std::make_unique<torch::optim::Adam>(weights, fill(torch::optim::AdamOptions(adam.lr)));
}

// Shuffles by Fisher and Yates' algorithm, since std::shuffle may differ from one library to the next.
void Shuffle(std::vector<std::int64_t>& rows, std::mt19937_64& random) {
  for (std::size_t i = rows.size(); i > 1; --i) std::swap(rows[i - 1], rows[random() % i]);
}

// Keeps losses on the device until Read, so that a GPU does not wait for the CPU after each step.
class LossWindow {
 public:
  explicit LossWindow(bool on_gpu) : most_(on_gpu ? 32 : 1) {}

  void Add(const at::Tensor& loss, std::int64_t examples) {
    pending_.push_back(loss.detach());
    examples_.push_back(examples);
    ++steps_;
  }
  bool Full() const { return pending_.size() >= most_; }

  // Reads the pending losses. Returns the step (from 1) of the first loss that is not finite, or 0.
  std::int64_t Read() {
    std::int64_t broken = 0;
    if (pending_.empty()) return broken;
    const at::Tensor values = at::stack(pending_).to(at::kCPU, at::kDouble);
    const std::int64_t before = steps_ - static_cast<std::int64_t>(pending_.size());
    for (std::size_t i = 0; i < pending_.size(); ++i) {
      const double value = values[static_cast<std::int64_t>(i)].item<double>();
      if (!std::isfinite(value) && broken == 0) broken = before + static_cast<std::int64_t>(i) + 1;
      line_sum_ += value;
      ++line_steps_;
      epoch_sum_ += value * static_cast<double>(examples_[i]);
      epoch_examples_ += examples_[i];
    }
    pending_.clear();
    examples_.clear();
    return broken;
  }

  std::int64_t steps() const { return steps_; }
  // Returns the mean since the last call; the caller calls Read() first.
  double TakeLineMean() {
    const double mean = line_sum_ / static_cast<double>(std::max<std::int64_t>(1, line_steps_));
    line_sum_ = 0;
    line_steps_ = 0;
    return mean;
  }
  double TakeEpochMean() {
    const double mean = epoch_sum_ / static_cast<double>(std::max<std::int64_t>(1, epoch_examples_));
    epoch_sum_ = 0;
    epoch_examples_ = 0;
    return mean;
  }

 private:
  std::size_t most_;
  std::vector<at::Tensor> pending_;
  std::vector<std::int64_t> examples_;
  std::int64_t steps_ = 0;
  double line_sum_ = 0;
  std::int64_t line_steps_ = 0;
  double epoch_sum_ = 0;
  std::int64_t epoch_examples_ = 0;
};

Status CheckFolder(const std::string& out) {
  const auto slash = out.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : out.substr(0, slash + 1);
  if (access(folder.c_str(), W_OK | X_OK) != 0) return tl::unexpected(ErrnoError("out: folder " + folder, errno));
  return {};
}

class Training {
 public:
  Training(const TrainSpec& spec, MetricsFile& metrics, const Dataset& data, Model& model,
           std::vector<at::Tensor> weights)
      : spec_(spec),
        metrics_(metrics),
        data_(data),
        model_(model),
        weights_(std::move(weights)),
        optimizer_(MakeOptimizer(spec, weights_)),
        like_(model.InputOptions()),
        losses_(like_.is_cuda()),
        random_(static_cast<std::uint64_t>(spec.seed)),
        rows_(static_cast<std::size_t>(data.count)) {
    std::iota(rows_.begin(), rows_.end(), std::int64_t{0});
  }

  Status Epoch(std::int64_t epoch) {
    const auto start = Stopwatch::now();
    if (spec_.shuffle) Shuffle(rows_, random_);
    const std::span<const std::int64_t> rows(rows_);
    const auto batch = static_cast<std::size_t>(spec_.batch);
    for (std::size_t at = 0; at < rows.size(); at += batch) {
      const auto part = rows.subspan(at, std::min(batch, rows.size() - at));
      FURROW_TRY(Step(part));
      const bool line = spec_.log_every > 0 && losses_.steps() % spec_.log_every == 0;
      if (line || losses_.Full()) FURROW_TRY(CheckFinite(epoch));
      if (line) FURROW_TRY(Line(epoch, static_cast<double>(at + part.size()) / SecondsSince(start)));
    }
    FURROW_TRY(CheckFinite(epoch));
    const double mean = losses_.TakeEpochMean();
    const double rate = static_cast<double>(rows.size()) / SecondsSince(start);
    std::printf("epoch %lld of %lld: loss %.4f, %.1f examples/s\n", static_cast<long long>(epoch),
                static_cast<long long>(spec_.epochs), mean, rate);
    return metrics_.Write(MetricsLine()
                              .Add("step", losses_.steps())
                              .Add("epoch", epoch)
                              .Add("epoch_loss", mean)
                              .Add("examples_per_s", rate));
  }

 private:
  Status Step(std::span<const std::int64_t> rows) {
    const at::Tensor inputs = InputsOf(data_, rows, like_);
    const at::Tensor labels = LabelsOf(data_, rows, like_);
    for (at::Tensor& weight : weights_) weight.mutable_grad().reset();
    FURROW_ASSIGN(const at::Tensor output, model_.Forward(inputs));
    if (losses_.steps() == 0) FURROW_TRY(CheckOutput(data_, spec_.loss, output, labels));
    const at::Tensor loss = LossOf(spec_.loss, output, labels);
    if (!loss.requires_grad()) {
      return Fail(Errc::kInvalid, spec_.model + ": its output does not depend on any parameter that can be trained");
    }
    loss.backward();
    optimizer_->step();
    losses_.Add(loss, static_cast<std::int64_t>(rows.size()));
    return {};
  }

  Status CheckFinite(std::int64_t epoch) {
    const std::int64_t step = losses_.Read();
    if (step == 0) return {};
    return Fail(Errc::kInvalid,
                "the loss is not finite at step " + std::to_string(step) + " (epoch " + std::to_string(epoch) + "); " +
                    spec_.out + " was not written: try a lower lr, and look for wrong values in " + data_.inputs_file);
  }

  Status Line(std::int64_t epoch, double rate) {
    const double mean = losses_.TakeLineMean();
    std::printf("epoch %lld step %lld: loss %.4f, %.1f examples/s\n", static_cast<long long>(epoch),
                static_cast<long long>(losses_.steps()), mean, rate);
    return metrics_.Write(MetricsLine().Add("step", losses_.steps()).Add("epoch", epoch).Add("loss", mean));
  }

  const TrainSpec& spec_;
  MetricsFile& metrics_;
  const Dataset& data_;
  Model& model_;
  std::vector<at::Tensor> weights_;
  std::unique_ptr<torch::optim::Optimizer> optimizer_;
  at::Tensor like_;
  LossWindow losses_;
  std::mt19937_64 random_;
  std::vector<std::int64_t> rows_;
};

}  // namespace

Status Train(const TrainSpec& spec, MetricsFile& metrics) {
  FURROW_TRY(CheckFolder(spec.out));
  FURROW_ASSIGN(const std::string device, SelectDevice(spec.device));
  FURROW_ASSIGN(const auto model, LoadModel(spec.model, device));
  FURROW_ASSIGN(auto weights, model->Trainable());
  FURROW_ASSIGN(const Dataset data, LoadDataset(spec.data, spec.loss));
  torch::manual_seed(static_cast<std::uint64_t>(spec.seed));
  model->SetTraining(true);
  std::printf("training %s on %lld examples of %s, on %s\n", spec.model.c_str(), static_cast<long long>(data.count),
              data.inputs_file.c_str(), device.c_str());
  Training training(spec, metrics, data, *model, std::move(weights));
  for (std::int64_t epoch = 1; epoch <= spec.epochs; ++epoch) FURROW_TRY(training.Epoch(epoch));
  FURROW_TRY(model->Save(spec.out));
  std::printf("wrote %s\n", spec.out.c_str());
  return {};
}

}  // namespace furrow::steps
