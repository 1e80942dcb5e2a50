// Holds the numbers of one data file, as its reader returns them, in plain C++ without Torch.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace furrow::steps {

using Shape = std::vector<std::int64_t>;

// Holds values in row-major order; the first dimension counts examples. Every integer type but uint8 is widened to
// int64, and every floating-point type is stored as float32.
struct Array {
  Shape shape;
  std::variant<std::vector<std::uint8_t>, std::vector<std::int64_t>, std::vector<float>> values;
};

// Returns the product of `shape`; nullopt: a dimension is negative or the product exceeds 2^48.
std::optional<std::int64_t> CountOf(const Shape& shape);

// Returns a text like "[64, 1, 28, 28]".
std::string ToString(const Shape& shape);

}  // namespace furrow::steps
