#include "agent/torch/npy.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string_view>
#include <variant>

#include "agent/torch/data_file.h"

static_assert(std::endian::native == std::endian::little, "values are copied as they lie in the file");

namespace furrow::steps {
namespace {

struct Header {
  std::string type;  // such as "<f4"
  bool fortran_order = false;
  Shape shape;
  std::size_t values_at = 0;  // bytes from the start of the file
};

// Returns the rest of the header's dict after `key` and its colon, without leading blanks; empty: no such key.
std::string_view ValueOf(std::string_view dict, std::string_view key) {
  const auto at = dict.find("'" + std::string(key) + "'");
  if (at == std::string_view::npos) return {};
  const auto colon = dict.find(':', at);
  if (colon == std::string_view::npos) return {};
  const auto value = dict.find_first_not_of(' ', colon + 1);
  return value == std::string_view::npos ? std::string_view{} : dict.substr(value);
}

bool ReadShape(std::string_view text, Shape& shape) {
  if (text.empty() || text.front() != '(') return false;
  const char* at = text.data() + 1;
  const char* const end = text.data() + text.size();
  while (at < end && *at != ')') {
    if (*at == ' ' || *at == ',') {
      ++at;
      continue;
    }
    std::int64_t size = 0;
    const auto [after, error] = std::from_chars(at, end, size);
    if (error != std::errc{} || size < 0) return false;
    shape.push_back(size);
    at = after;
  }
  return at < end;
}

Result<Header> ReadHeader(const std::string& path, const std::string& bytes) {
  if (bytes.starts_with("PK\x03\x04")) {
    return Fail(Errc::kInvalid, path +
                                    ": is a zip archive, as numpy.savez makes (NPZ); save each array in a file of its "
                                    "own with numpy.save");
  }
  if (bytes.size() < 10 || bytes.compare(0, 6, "\x93NUMPY") != 0) {
    return Fail(Errc::kCorrupt, path + ": is no NPY file: it starts with " + FirstBytes(bytes) +
                                    ", expected 93 4e 55 4d 50 59; save it with numpy.save and check data.format");
  }
  const auto at = [&](std::size_t i) { return static_cast<std::size_t>(static_cast<unsigned char>(bytes[i])); };
  std::size_t start = 10;
  std::size_t length = at(8) | at(9) << 8;
  if (at(6) >= 2) {
    start = 12;
    if (bytes.size() >= start) length |= at(10) << 16 | at(11) << 24;
  }
  if (bytes.size() < start + length) {
    return Fail(Errc::kCorrupt, path + ": truncated: a header of " + std::to_string(start + length) +
                                    " bytes expected, " + std::to_string(bytes.size()) +
                                    " found; save or fetch it again");
  }
  const std::string_view dict = std::string_view(bytes).substr(start, length);
  const std::string_view type = ValueOf(dict, "descr");
  const std::string_view order = ValueOf(dict, "fortran_order");
  Header header;
  header.values_at = start + length;
  header.fortran_order = order.starts_with("True");
  const bool quoted = type.size() > 2 && type.front() == '\'';
  const auto quote = quoted ? type.find('\'', 1) : std::string_view::npos;
  if (quote == std::string_view::npos || order.empty() || !ReadShape(ValueOf(dict, "shape"), header.shape)) {
    return Fail(Errc::kCorrupt, path + ": its NPY header can't be read: " + std::string(dict.substr(0, 100)) +
                                    "; save a plain array of numbers with numpy.save");
  }
  header.type = std::string(type.substr(1, quote - 1));
  return header;
}

// Converts `count` values of type From; a value that To can hold stays exact.
template <class From, class To>
std::vector<To> Convert(const char* bytes, std::size_t count) {
  std::vector<To> values(count);
  for (std::size_t i = 0; i < count; ++i) {
    From value;
    std::memcpy(&value, bytes + i * sizeof(From), sizeof(From));
    values[i] = static_cast<To>(+value);  // `+` makes a number of a signed char, which may be a letter, too
  }
  return values;
}

struct Type {
  std::string_view name;  // name without the byte order
  std::size_t size;       // bytes
  Values (*convert)(const char* bytes, std::size_t count);
};

template <class From, class To>
Values As(const char* bytes, std::size_t count) {
  return Convert<From, To>(bytes, count);
}

// Numbers beyond int64 make all of them float64, since nothing holds both.
Values FromUint64(const char* bytes, std::size_t count) {
  const auto values = Convert<std::uint64_t, std::uint64_t>(bytes, count);
  constexpr std::uint64_t kMost = std::numeric_limits<std::int64_t>::max();
  if (std::any_of(values.begin(), values.end(), [](std::uint64_t value) { return value > kMost; })) {
    return Convert<std::uint64_t, double>(bytes, count);
  }
  return Convert<std::uint64_t, std::int64_t>(bytes, count);
}

float HalfToFloat(std::uint16_t half) {
  const int exponent = half >> 10 & 31;
  const int fraction = half & 1023;
  float value = 0;
  if (exponent == 31) {
    value = fraction == 0 ? std::numeric_limits<float>::infinity() : std::numeric_limits<float>::quiet_NaN();
  } else if (exponent == 0) {
    value = std::ldexp(static_cast<float>(fraction), -24);
  } else {
    value = std::ldexp(static_cast<float>(1024 + fraction), exponent - 25);
  }
  return (half & 0x8000) != 0 ? -value : value;
}

Values FromFloat16(const char* bytes, std::size_t count) {
  const auto halves = Convert<std::uint16_t, std::uint16_t>(bytes, count);
  std::vector<float> values(count);
  std::transform(halves.begin(), halves.end(), values.begin(), HalfToFloat);
  return values;
}

constexpr Type kTypes[] = {
    {"b1", 1, As<std::uint8_t, std::int64_t>},
    {"u1", 1, As<std::uint8_t, std::uint8_t>},
    {"i1", 1, As<std::int8_t, std::int64_t>},
    {"u2", 2, As<std::uint16_t, std::int64_t>},
    {"i2", 2, As<std::int16_t, std::int64_t>},
    {"u4", 4, As<std::uint32_t, std::int64_t>},
    {"i4", 4, As<std::int32_t, std::int64_t>},
    {"u8", 8, FromUint64},
    {"i8", 8, As<std::int64_t, std::int64_t>},
    {"f2", 2, FromFloat16},
    {"f4", 4, As<float, float>},
    {"f8", 8, As<double, double>},
};

}  // namespace

Result<Array> ReadNpy(const std::string& path) {
  FURROW_ASSIGN(const std::string bytes, ReadDataFile(path));
  FURROW_ASSIGN(const Header header, ReadHeader(path, bytes));
  if (header.fortran_order && header.shape.size() > 1) {
    return Fail(Errc::kInvalid, path + ": is in Fortran order; save numpy.ascontiguousarray(x)");
  }
  if (header.shape.empty()) {
    return Fail(Errc::kInvalid, path + ": holds a single number (shape ()); the first dimension must count examples");
  }
  const char order = header.type.empty() ? '?' : header.type.front();
  const Type* type = nullptr;
  for (const Type& known : kTypes) {
    const bool orderless = known.size == 1 && (order == '|' || order == '=' || order == '>');
    if (header.type.substr(1) == known.name && (order == '<' || orderless)) type = &known;
  }
  if (type == nullptr) {
    return Fail(Errc::kInvalid, path + ": holds values of type '" + header.type +
                                    "'; save it as bool, integers, float16, float32 or float64, little-endian "
                                    "(x.astype('<f4'))");
  }
  const auto count = CountOf(header.shape);
  if (!count) {
    return Fail(Errc::kCorrupt, path + ": its header says " + ToString(header.shape) + ", which is too large");
  }
  const std::size_t expected = header.values_at + static_cast<std::size_t>(*count) * type->size;
  if (bytes.size() != expected) {
    return Fail(Errc::kCorrupt, path + (bytes.size() < expected ? ": truncated" : ": too long") + ": its header says " +
                                    ToString(header.shape) + " of '" + header.type + "', so " +
                                    std::to_string(expected) + " bytes were expected, " + std::to_string(bytes.size()) +
                                    " found; save or fetch it again");
  }
  Array array{header.shape, type->convert(bytes.data() + header.values_at, static_cast<std::size_t>(*count))};
  array.beyond_int64 = type->name == "u8" && std::holds_alternative<std::vector<double>>(array.values);
  return array;
}

}  // namespace furrow::steps
