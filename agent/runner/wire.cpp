#include "agent/runner/wire.h"

#include <array>

namespace furrow::runner {
namespace {

constexpr std::array<std::array<std::uint32_t, 256>, 8> MakeTables() {
  std::array<std::array<std::uint32_t, 256>, 8> tables{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = crc & 1 ? crc >> 1 ^ 0xEDB88320u : crc >> 1;
    tables[0][i] = crc;
  }
  for (std::uint32_t i = 0; i < 256; ++i) {
    for (std::size_t t = 1; t < 8; ++t) tables[t][i] = tables[t - 1][i] >> 8 ^ tables[0][tables[t - 1][i] & 255];
  }
  return tables;
}

constexpr auto kTables = MakeTables();

}  // namespace

void Writer::Put(std::uint64_t value, int bytes) {
  char raw[8];
  for (int i = 0; i < bytes; ++i) raw[i] = static_cast<char>(value >> (8 * i));
  out_.append(raw, static_cast<std::size_t>(bytes));
}

void Writer::Text(std::string_view value) {
  U32(static_cast<std::uint32_t>(value.size()));
  out_.append(value);
}

void Writer::Texts(const std::vector<std::string>& values) {
  U32(static_cast<std::uint32_t>(values.size()));
  for (const std::string& value : values) Text(value);
}

std::uint64_t Reader::Get(std::size_t bytes) {
  if (!ok_ || rest_.size() < bytes) {
    ok_ = false;
    return 0;
  }
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < bytes; ++i) value |= std::uint64_t{static_cast<unsigned char>(rest_[i])} << (8 * i);
  rest_.remove_prefix(bytes);
  return value;
}

std::string Reader::Text() {
  const std::uint32_t size = U32();
  if (!ok_ || rest_.size() < size) {
    ok_ = false;
    return {};
  }
  std::string value(rest_.substr(0, size));
  rest_.remove_prefix(size);
  return value;
}

std::uint32_t Reader::Count(std::size_t least_bytes) {
  const std::uint32_t count = U32();
  if (count > rest_.size() / least_bytes) ok_ = false;
  return ok_ ? count : 0;
}

std::vector<std::string> Reader::Texts() {
  std::vector<std::string> values;
  const std::uint32_t count = Count(4);
  values.reserve(count);
  for (std::uint32_t i = 0; i < count && ok_; ++i) values.push_back(Text());
  return values;
}

std::uint32_t Crc32(std::string_view bytes) {
  std::uint32_t crc = ~0u;
  std::size_t i = 0;
  const auto at = [&](std::size_t k) { return static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[k])); };
  for (; i + 8 <= bytes.size(); i += 8) {  // Each round takes eight bytes with eight tables.
    crc ^= at(i) | at(i + 1) << 8 | at(i + 2) << 16 | at(i + 3) << 24;
    crc = kTables[7][crc & 255] ^ kTables[6][crc >> 8 & 255] ^ kTables[5][crc >> 16 & 255] ^ kTables[4][crc >> 24] ^
          kTables[3][at(i + 4)] ^ kTables[2][at(i + 5)] ^ kTables[1][at(i + 6)] ^ kTables[0][at(i + 7)];
  }
  for (; i < bytes.size(); ++i) crc = crc >> 8 ^ kTables[0][(crc ^ at(i)) & 255];
  return ~crc;
}

}  // namespace furrow::runner
