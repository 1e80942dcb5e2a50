// Holds the numbers of one data file, as its reader returns them, in plain C++ without Torch.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace furrow::steps {

using Shape = std::vector<std::int64_t>;

// Every integer type but uint8 is widened to int64, bool too, and float16 to float32; no value loses a digit.
using Values =
    std::variant<std::vector<std::uint8_t>, std::vector<std::int64_t>, std::vector<float>, std::vector<double>>;

// Holds values in row-major order; the first dimension counts examples.
struct Array {
  Shape shape;
  Values values;
  bool beyond_int64 = false;  // The file has integers, of which one is too great for int64: `values` are doubles.
};

// Returns the product of `shape`; nullopt: a dimension is negative or the product exceeds 2^48.
std::optional<std::int64_t> CountOf(const Shape& shape);

// Returns a text like "[64, 1, 28, 28]".
std::string ToString(const Shape& shape);

}  // namespace furrow::steps
