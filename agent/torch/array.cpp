#include "agent/torch/array.h"

namespace furrow::steps {

std::optional<std::int64_t> CountOf(const Shape& shape) {
  constexpr std::int64_t kMost = std::int64_t{1} << 48;
  std::int64_t count = 1;
  for (const std::int64_t size : shape) {
    if (size < 0 || size > kMost || (size > 0 && count > kMost / size)) return std::nullopt;
    count *= size;
  }
  return count;
}

std::string ToString(const Shape& shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) text += (i > 0 ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

}  // namespace furrow::steps
