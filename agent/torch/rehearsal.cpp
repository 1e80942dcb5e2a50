#include "agent/torch/rehearsal.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agent/torch/runtime.h"

namespace furrow::steps {
namespace {

bool IsAboutTypes(const Error& error) {
  return error.message.find("dtype") != std::string::npos || error.message.find("type") != std::string::npos ||
         error.message.find("not implemented for") != std::string::npos;
}

// Returns why the module cannot be trained on the batch `rows`, if this can be known.
Status RehearseBatch(const TrainSpec& spec, Model& model, const Dataset& data, std::span<const std::int64_t> rows,
                     const at::Tensor& like) {
  const auto output = model.Rehearse(InputsOf(data, rows, like));
  if (output) return CheckOutput(data, spec.loss, *output, LabelsOf(data, rows, *output));
  // A copy takes memory that the training itself may not need, and not every module can be copied.
  if (output.error().code == Errc::kUnavailable || output.error().code == Errc::kInternal) return {};
  return tl::unexpected(output.error());
}

}  // namespace

Result<at::Tensor> ChooseInputs(Model& model, const Dataset& data, std::span<const std::int64_t> rows) {
  const std::vector<at::Tensor> types = model.InputTypes();
  if (types.size() == 1 || rows.empty()) return types.front();
  std::optional<std::pair<at::Tensor, Error>> refused;
  for (const at::Tensor& like : types) {
    const at::Tensor inputs = InputsOf(data, rows, like);
    const auto output = model.Rehearse(inputs);
    if (output || output.error().code == Errc::kUnavailable || output.error().code == Errc::kInternal) return like;
    // With another type the module may come further, so that its reason says more than that the type is wrong.
    if (!refused || (IsAboutTypes(refused->second) && !IsAboutTypes(output.error()))) {
      refused.emplace(inputs, output.error());
    }
  }
  return tl::unexpected(model.Explain(refused->first, refused->second));
}

Result<at::Tensor> RehearseTraining(const TrainSpec& spec, Model& model, const Dataset& data) {
  const std::int64_t left = data.count % spec.batch;
  std::vector<std::int64_t> rows(static_cast<std::size_t>(std::min(data.count, spec.batch)));
  std::iota(rows.begin(), rows.end(), std::int64_t{0});
  FURROW_ASSIGN(at::Tensor like, ChooseInputs(model, data, rows));
  if (left == 0 || data.count < spec.batch || spec.drop_last) return like;
  const auto last = std::span<const std::int64_t>(rows).first(static_cast<std::size_t>(left));
  const Status fits = RehearseBatch(spec, model, data, last, like);
  if (fits) return like;
  // What fits no batch at all is said at the first step, in other words.
  if (!RehearseBatch(spec, model, data, rows, like)) return like;
  return Fail(Errc::kInvalid, spec.model + " cannot be trained on the last batch of an epoch, which has " +
                                  std::to_string(left) + (left == 1 ? " example" : " examples") + " (" +
                                  std::to_string(data.count) + " in batches of " + std::to_string(spec.batch) +
                                  "): " + fits.error().message +
                                  "; set drop_last to true, which leaves it out, or choose another batch");
}

}  // namespace furrow::steps
