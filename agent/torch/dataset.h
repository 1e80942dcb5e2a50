// Holds the examples of a step: checked against each other, as small as in the file, and converted to float32 or
// float64 one batch at a time. The code is plain C++ without Torch.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "agent/torch/array.h"
#include "agent/torch/spec.h"
#include "common/base/error.h"

namespace furrow::steps {

struct Dataset {
  std::string inputs_file;  // name for messages
  std::string labels_file;
  std::int64_t count = 0;             // number of examples
  Shape input_shape;                  // shape of one example
  Shape target_shape;                 // shape of one target; empty for a single number and for classes
  Values inputs;                      // values of the file, not yet scaled
  bool classifies = true;             // the labels are `classes`; false (mse): they are `targets`
  std::vector<std::int64_t> classes;  // one for each example
  Values targets;                     // the targets of all examples
  double scale = 0;                   // 0: 1/255 for uint8, else 1
  std::vector<double> mean;           // one for all channels or one for each
  std::vector<double> deviation;

  // Write the values of `rows` to `out`, example after example; `out` must have room for all rows, and each row is less
  // than `count`. An input becomes (value · scale - mean) / deviation, and `Value` is the type of each of these steps,
  // as it is with a tensor of this type: float or double.
  template <class Value>
  void CopyInputs(std::span<const std::int64_t> rows, Value* out) const;
  template <class Value>
  void CopyTargets(std::span<const std::int64_t> rows, Value* out) const;
  void CopyClasses(std::span<const std::int64_t> rows, std::int64_t* out) const;
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
