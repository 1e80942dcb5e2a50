// Holds the examples of a step: checked against each other, as small as in the file, and converted to float32 one batch
// at a time. The code is plain C++ without Torch.
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
  std::string inputs_file;  // name for messages
  std::string labels_file;
  std::int64_t count = 0;  // number of examples
  Shape input_shape;       // shape of one example
  Shape target_shape;      // shape of one target; empty for a single number and for classes
  std::variant<std::vector<std::uint8_t>, std::vector<float>> inputs;  // values of the file, not yet scaled
  std::vector<std::int64_t> classes;                                   // nll, cross_entropy: one for each example
  std::vector<float> targets;                                          // mse: the targets of all examples
  std::vector<double> factor;  // one for all channels or one for each: an input becomes value · factor + offset
  std::vector<double> offset;

  // Writes the scaled inputs of `rows` to `out`, example after example; `out` must have room for all rows, and each row
  // is less than `count`.
  void CopyInputs(std::span<const std::int64_t> rows, float* out) const;
  void CopyClasses(std::span<const std::int64_t> rows, std::int64_t* out) const;
  void CopyTargets(std::span<const std::int64_t> rows, float* out) const;
};

// Reads the files of `spec` and checks their agreement: as many labels as inputs are there, classes are whole numbers ≥
// 0, and `shape`, `limit`, `mean` and `std` fit. Errors name the file.
Result<Dataset> LoadDataset(const DataSpec& spec, Loss loss);

// Returns an error for the first class that the output [*, classes] of a module lacks; the error names the example. A
// dataset with targets always passes.
Status CheckClasses(const Dataset& data, std::int64_t classes);

// Returns the half-open range of the `examples` that belongs to shard `index` of `count`.
std::pair<std::int64_t, std::int64_t> ShardRange(std::int64_t examples, std::int64_t index, std::int64_t count);

}  // namespace furrow::steps
