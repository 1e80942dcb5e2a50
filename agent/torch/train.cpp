#include <ATen/ATen.h>
#include <torch/csrc/api/include/torch/utils.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <memory>
#include <numeric>
#include <random>
#include <span>
#include <string>
#include <system_error>
#include <utility>

#include "agent/torch/dataset.h"
#include "agent/torch/model_loader.h"
#include "agent/torch/optimizer.h"
#include "agent/torch/rehearsal.h"
#include "agent/torch/runtime.h"
#include "agent/torch/steps.h"
#include "agent/torch/whole_file.h"

namespace furrow::steps {
namespace {

using Stopwatch = std::chrono::steady_clock;

double SecondsSince(Stopwatch::time_point start) {
  return std::max(1e-9, std::chrono::duration<double>(Stopwatch::now() - start).count());
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

// Checks that the trained module can be written, as far as that can be known before it is there.
Status CheckOut(const TrainSpec& spec) {
  const auto place = WholeFile::Create(spec.out);
  if (!place) return tl::unexpected(Annotate(place.error(), "out"));
  for (const std::string* input : {&spec.data.inputs, &spec.data.labels}) {
    std::error_code error;
    if (input->empty() || !std::filesystem::equivalent(*input, spec.out, error)) continue;
    return Fail(Errc::kInvalid, "out: " + spec.out + ": is a file of the data, which it would replace; name another");
  }
  return {};
}

// Returns how many of `count` examples an epoch takes.
std::int64_t ExamplesOf(const TrainSpec& spec, std::int64_t count) {
  return spec.drop_last ? count - count % spec.batch : count;
}

class Training {
 public:
  // `like` has the type and device of the inputs.
  Training(const TrainSpec& spec, MetricsFile& metrics, const Dataset& data, Model& model,
           std::vector<at::Tensor> weights, at::Tensor like)
      : spec_(spec),
        metrics_(metrics),
        data_(data),
        model_(model),
        optimizer_(MakeOptimizer(spec.optimizer, std::move(weights))),
        like_(std::move(like)),
        losses_(like_.is_cuda()),
        random_(static_cast<std::uint64_t>(spec.seed)),
        rows_(static_cast<std::size_t>(data.count)) {
    std::iota(rows_.begin(), rows_.end(), std::int64_t{0});
  }

  Status Epoch(std::int64_t epoch) {
    const auto start = Stopwatch::now();
    if (spec_.shuffle) Shuffle(rows_, random_);
    const auto rows =
        std::span<const std::int64_t>(rows_).first(static_cast<std::size_t>(ExamplesOf(spec_, data_.count)));
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
    optimizer_->ForgetGradients();
    FURROW_ASSIGN(const at::Tensor output, model_.Forward(inputs));
    const at::Tensor labels = LabelsOf(data_, rows, output);
    FURROW_TRY(CheckOutput(data_, spec_.loss, output, labels));
    if (losses_.steps() == 0) FURROW_TRY(CheckMeaning(data_, spec_.loss, output));
    try {
      const at::Tensor loss = LossOf(spec_.loss, output, labels);
      if (!loss.requires_grad()) {
        return Fail(Errc::kInvalid, spec_.model +
                                        ": its output does not depend on any parameter that can be trained; "
                                        "save it before torch.jit.freeze, without detach() and no_grad()");
      }
      loss.backward();
      optimizer_->Step();
      losses_.Add(loss, static_cast<std::int64_t>(rows.size()));
    } catch (const std::exception& error) {
      return Fail(Errc::kInvalid, spec_.model + ": step " + std::to_string(losses_.steps() + 1) +
                                      " cannot be computed: " + ReasonOf(error));
    }
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
  std::unique_ptr<Optimizer> optimizer_;
  at::Tensor like_;
  LossWindow losses_;
  std::mt19937_64 random_;
  std::vector<std::int64_t> rows_;
};

}  // namespace

Status Train(const TrainSpec& spec, MetricsFile& metrics) {
  FURROW_TRY(CheckOut(spec));
  FURROW_ASSIGN(const std::string device, SelectDevice(spec.device));
  FURROW_ASSIGN(const auto model, LoadModel(spec.model, device));
  FURROW_ASSIGN(auto weights, model->Trainable());
  FURROW_ASSIGN(const Dataset data, LoadDataset(spec.data, spec.loss));
  if (ExamplesOf(spec, data.count) == 0) {
    return Fail(Errc::kInvalid, "drop_last leaves nothing of " + std::to_string(data.count) +
                                    " examples: they are fewer than one batch of " + std::to_string(spec.batch));
  }
  model->SetTraining(true);
  FURROW_ASSIGN(at::Tensor like, RehearseTraining(spec, *model, data));
  torch::manual_seed(static_cast<std::uint64_t>(spec.seed));
  std::printf("training %s on %lld examples of %s, on %s\n", spec.model.c_str(), static_cast<long long>(data.count),
              data.inputs_file.c_str(), device.c_str());
  Training training(spec, metrics, data, *model, std::move(weights), std::move(like));
  for (std::int64_t epoch = 1; epoch <= spec.epochs; ++epoch) FURROW_TRY(training.Epoch(epoch));
  FURROW_TRY(model->Save(spec.out));
  std::printf("wrote %s\n", spec.out.c_str());
  return {};
}

}  // namespace furrow::steps
