// Writes and reads the little-endian bytes of the runner's socket and journal, without I/O.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace furrow::runner {

// Appends to a borrowed string, which must outlive the writer.
class Writer {
 public:
  explicit Writer(std::string& out) : out_(out) {}

  void U8(std::uint8_t value) { out_.push_back(static_cast<char>(value)); }
  void U32(std::uint32_t value) { Put(value, 4); }
  void U64(std::uint64_t value) { Put(value, 8); }
  void I64(std::int64_t value) { Put(static_cast<std::uint64_t>(value), 8); }
  void Text(std::string_view value);  // u32 length, then the bytes
  void Texts(const std::vector<std::string>& values);

 private:
  void Put(std::uint64_t value, int bytes);
  std::string& out_;
};

// Reads from bytes that the reader does not own. A read past the end returns zero or an empty text and makes ok() false
// for good, so a decoder reads all its fields and asks once. Remaining bytes are no error: a newer peer appends its new
// fields.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}

  std::uint8_t U8() { return static_cast<std::uint8_t>(Get(1)); }
  std::uint32_t U32() { return static_cast<std::uint32_t>(Get(4)); }
  std::uint64_t U64() { return Get(8); }
  std::int64_t I64() { return static_cast<std::int64_t>(Get(8)); }
  std::string Text();
  std::vector<std::string> Texts();

  // Reads a count of items that take at least `least_bytes` each. A count that cannot fit fails: garbage must
  // not make a decoder reserve memory.
  std::uint32_t Count(std::size_t least_bytes);

  bool ok() const { return ok_; }
  bool empty() const { return rest_.empty(); }

 private:
  std::uint64_t Get(std::size_t bytes);
  std::string_view rest_;
  bool ok_ = true;
};

// Returns the CRC-32 (IEEE 802.3, as in zlib) of `bytes`.
std::uint32_t Crc32(std::string_view bytes);

}  // namespace furrow::runner
