#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>

#include "agent/torch/dataset.h"
#include "agent/torch/model_loader.h"
#include "agent/torch/rehearsal.h"
#include "agent/torch/runtime.h"
#include "agent/torch/steps.h"

namespace furrow::steps {
namespace {

// Returns the mean of a metric over the examples of one batch.
double BatchMean(Metric metric, Loss loss, const at::Tensor& output, const at::Tensor& labels) {
  switch (metric) {
    case Metric::kAccuracy: return output.argmax(1).eq(labels).to(at::kDouble).mean().item<double>();
    case Metric::kMae: return (output - labels.view_as(output)).abs().mean().item<double>();
    case Metric::kMse:
    case Metric::kLoss: break;
  }
  return LossOf(loss, output, labels).item<double>();
}

}  // namespace

Status Evaluate(const EvaluateSpec& spec, Shard shard, MetricsFile& metrics) {
  FURROW_ASSIGN(const std::string device, SelectDevice(spec.device));
  FURROW_ASSIGN(const auto model, LoadModel(spec.model, device));
  FURROW_ASSIGN(const Dataset data, LoadDataset(spec.data, spec.loss));
  model->SetTraining(false);
  const auto [begin, end] = ShardRange(data.count, shard.index, shard.count);
  std::vector<std::int64_t> rows(static_cast<std::size_t>(end - begin));
  std::iota(rows.begin(), rows.end(), begin);
  std::printf("evaluating %s on examples %lld to %lld of %s, on %s\n", spec.model.c_str(),
              static_cast<long long>(begin), static_cast<long long>(end), data.inputs_file.c_str(), device.c_str());

  const c10::InferenceMode inference;
  const auto first =
      std::span<const std::int64_t>(rows).first(std::min(rows.size(), static_cast<std::size_t>(spec.batch)));
  FURROW_ASSIGN(const at::Tensor like, ChooseInputs(*model, data, first));
  std::vector<double> sums(spec.metrics.size(), 0.0);
  const auto batch = static_cast<std::size_t>(spec.batch);
  for (std::size_t at = 0; at < rows.size(); at += batch) {
    const auto part = std::span<const std::int64_t>(rows).subspan(at, std::min(batch, rows.size() - at));
    FURROW_ASSIGN(const at::Tensor output, model->Forward(InputsOf(data, part, like)));
    const at::Tensor labels = LabelsOf(data, part, output);
    FURROW_TRY(CheckOutput(data, spec.loss, output, labels));
    if (at == 0) FURROW_TRY(CheckMeaning(data, spec.loss, output));
    for (std::size_t m = 0; m < sums.size(); ++m) {
      sums[m] += BatchMean(spec.metrics[m], spec.loss, output, labels) * static_cast<double>(part.size());
    }
  }

  MetricsLine line;
  for (std::size_t m = 0; m < sums.size() && !rows.empty(); ++m) {
    const double mean = sums[m] / static_cast<double>(rows.size());
    if (!std::isfinite(mean)) {
      return Fail(Errc::kInvalid, std::string(ToString(spec.metrics[m])) + " of " + spec.model + " on " +
                                      data.inputs_file + " is not finite: its weights or the data hold no numbers");
    }
    std::printf("%s %.4f\n", ToString(spec.metrics[m]), mean);
    line.Add(ToString(spec.metrics[m]), mean);
  }
  line.Add("examples", static_cast<std::int64_t>(rows.size()));
  return metrics.Write(line);
}

}  // namespace furrow::steps
