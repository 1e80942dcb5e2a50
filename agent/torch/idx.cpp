#include "agent/torch/idx.h"

#include <cstdio>

#include "agent/torch/data_file.h"

namespace furrow::steps {
namespace {

constexpr unsigned kUint8 = 0x08;

unsigned At(const std::string& bytes, std::size_t i) {
  return static_cast<unsigned char>(bytes[i]);
}

}  // namespace

Result<Array> ReadIdx(const std::string& path) {
  FURROW_ASSIGN(const std::string bytes, ReadDataFile(path));
  const bool magic = bytes.size() >= 4 && At(bytes, 0) == 0 && At(bytes, 1) == 0 && At(bytes, 3) >= 1;
  if (!magic) {
    return Fail(Errc::kCorrupt, path + ": is no IDX file: it starts with " + FirstBytes(bytes) +
                                    ", expected 00 00 08 and the number of dimensions; check data.format and the name");
  }
  if (At(bytes, 2) != kUint8) {
    char type[8];
    std::snprintf(type, sizeof type, "0x%02x", At(bytes, 2));
    return Fail(Errc::kInvalid,
                path + ": holds IDX type " + type + ", only uint8 (0x08) is read; convert it to NPY (format: npy)");
  }
  const std::size_t dimensions = At(bytes, 3);
  const std::size_t header = 4 + 4 * dimensions;
  if (bytes.size() < header) {
    return Fail(Errc::kCorrupt, path + ": truncated: a header of " + std::to_string(header) + " bytes expected, " +
                                    std::to_string(bytes.size()) + " found; fetch the file again");
  }
  Array array;
  for (std::size_t d = 0; d < dimensions; ++d) {
    const std::size_t at = 4 + 4 * d;
    array.shape.push_back(static_cast<std::int64_t>(At(bytes, at)) << 24 | At(bytes, at + 1) << 16 |
                          At(bytes, at + 2) << 8 | At(bytes, at + 3));
  }
  const auto count = CountOf(array.shape);
  if (!count) return Fail(Errc::kCorrupt, path + ": its header says " + ToString(array.shape) + ", which is too large");
  const std::size_t expected = header + static_cast<std::size_t>(*count);
  if (bytes.size() != expected) {
    return Fail(Errc::kCorrupt, path + (bytes.size() < expected ? ": truncated" : ": too long") + ": its header says " +
                                    ToString(array.shape) + ", so " + std::to_string(expected) +
                                    " bytes were expected, " + std::to_string(bytes.size()) +
                                    " found; fetch the file again");
  }
  array.values = std::vector<std::uint8_t>(bytes.begin() + static_cast<std::ptrdiff_t>(header), bytes.end());
  return array;
}

}  // namespace furrow::steps
