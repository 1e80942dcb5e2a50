// Writes and reads little-endian numbers in byte strings, for Furrow's own formats (trees, log frames, caches).
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

namespace furrow {

template <class Integer>
void PutInteger(std::string& out, Integer value) {
  char bytes[sizeof(value)];
  for (std::size_t i = 0; i < sizeof(value); ++i) bytes[i] = static_cast<char>(value >> (8 * i));
  out.append(bytes, sizeof(value));
}
inline void PutU16(std::string& out, std::uint16_t value) {
  PutInteger(out, value);
}
inline void PutU32(std::string& out, std::uint32_t value) {
  PutInteger(out, value);
}
inline void PutU64(std::string& out, std::uint64_t value) {
  PutInteger(out, value);
}

// Reads from the front of `bytes`. Once a read asks for more bytes than are left, Ok() is false for good and every read
// returns 0 or empty: check Ok() once after a group of reads, and before a number that was read is used as a size.
class ByteReader {
 public:
  explicit ByteReader(std::span<const std::byte> bytes) : bytes_(bytes) {}

  bool Ok() const { return ok_; }
  std::size_t Left() const { return bytes_.size(); }

  std::uint8_t U8() { return Integer<std::uint8_t>(); }
  std::uint16_t U16() { return Integer<std::uint16_t>(); }
  std::uint32_t U32() { return Integer<std::uint32_t>(); }
  std::uint64_t U64() { return Integer<std::uint64_t>(); }

  // Returns a view into the bytes that the constructor got.
  std::string_view Text(std::size_t count) {
    if (!Need(count)) return {};
    const std::string_view text(reinterpret_cast<const char*>(bytes_.data()), count);
    bytes_ = bytes_.subspan(count);
    return text;
  }

  void Copy(void* out, std::size_t count) {
    const std::string_view text = Text(count);
    if (ok_ && count != 0) std::memcpy(out, text.data(), count);
  }

 private:
  bool Need(std::size_t count) {
    if (count > bytes_.size()) ok_ = false;
    return ok_;
  }

  template <class Integer_>
  Integer_ Integer() {
    if (!Need(sizeof(Integer_))) return 0;
    Integer_ value = 0;
    for (std::size_t i = 0; i < sizeof(value); ++i)
      value = static_cast<Integer_>(value | static_cast<Integer_>(static_cast<Integer_>(bytes_[i]) << (8 * i)));
    bytes_ = bytes_.subspan(sizeof(value));
    return value;
  }

  std::span<const std::byte> bytes_;
  bool ok_ = true;
};

}  // namespace furrow
