// The numbers of one data file, as its reader gives them. Plain C++, nothing of Torch.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace furrow::steps {

using Shape = std::vector<std::int64_t>;

// Row-major; the first dimension counts examples. Every integer type but uint8 is widened to int64,
// every floating-point type stored as float32.
struct Array {
  Shape shape;
  std::variant<std::vector<std::uint8_t>, std::vector<std::int64_t>, std::vector<float>> values;
};

// The product of `shape`; absent where a dimension is negative or the product passes 2^48.
std::optional<std::int64_t> CountOf(const Shape& shape);

// "[64, 1, 28, 28]"
std::string ToString(const Shape& shape);

}  // namespace furrow::steps
