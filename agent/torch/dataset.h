// The examples a step works on: checked against each other, kept as small as in the file, turned
// into float32 a batch at a time. Plain C++, nothing of Torch.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "agent/torch/array.h"
#include "agent/torch/spec.h"
#include "common/base/error.h"

namespace furrow::steps {

struct Dataset {
  std::string inputs_file;  // for messages
  std::string labels_file;
  std::int64_t count = 0;  // examples
  Shape input_shape;       // of one example
  Shape target_shape;      // of one target; empty for a single number, and for classes
  std::variant<std::vector<std::uint8_t>, std::vector<float>> inputs;  // as in the file, not yet scaled
  std::vector<std::int64_t> classes;                                   // with nll and cross_entropy: one an example
  std::vector<float> targets;                                          // with mse
  std::vector<double> factor;  // one a channel: an input becomes value · factor + offset
  std::vector<double> offset;

  // Writes the scaled inputs of `rows` to `out`, example after example; `out` has room for all of
  // them. `rows` are less than `count`.
  void CopyInputs(std::span<const std::int64_t> rows, float* out) const;
  void CopyClasses(std::span<const std::int64_t> rows, std::int64_t* out) const;
  void CopyTargets(std::span<const std::int64_t> rows, float* out) const;
};

// Reads the files of `spec` and checks that they fit each other: as many labels as inputs, whole
// numbers ≥ 0 as classes, `shape`, `limit`, `mean` and `std` that fit. Errors name the file.
Result<Dataset> LoadDataset(const DataSpec& spec, Loss loss);

// The first class that the output [*, classes] of a module does not have is an error; it names the
// example. Asks nothing of a dataset with targets.
Status CheckClasses(const Dataset& data, std::int64_t classes);

// The half-open range of examples that shard `index` of `count` has among `examples`.
std::pair<std::int64_t, std::int64_t> ShardRange(std::int64_t examples, std::int64_t index, std::int64_t count);

}  // namespace furrow::steps
