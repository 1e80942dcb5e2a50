#include "common/base/ids.h"

#include <sys/random.h>

#include <span>

#include "common/base/check.h"

namespace furrow {
namespace {

constexpr char kDigits[] = "0123456789abcdef";

std::string HexOf(std::span<const std::uint8_t> bytes) {
  std::string hex;
  hex.reserve(bytes.size() * 2);
  for (std::uint8_t byte : bytes) {
    hex += kDigits[byte >> 4];
    hex += kDigits[byte & 15];
  }
  return hex;
}

int DigitOf(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

Status ParseHex(std::string_view hex, std::span<std::uint8_t> out) {
  if (hex.size() != out.size() * 2)
    return Fail(Errc::kInvalid, "expected " + std::to_string(out.size() * 2) + " hex digits, got " +
                                    std::to_string(hex.size()) + " characters");
  for (std::size_t i = 0; i < out.size(); ++i) {
    const int high = DigitOf(hex[i * 2]);
    const int low = DigitOf(hex[i * 2 + 1]);
    if (high < 0 || low < 0)
      return Fail(Errc::kInvalid, "not a lower-case hex digit at position " + std::to_string(i * 2));
    out[i] = static_cast<std::uint8_t>(high << 4 | low);
  }
  return {};
}

}  // namespace

std::string Uuid::ToHex() const {
  std::array<std::uint8_t, 16> bytes{};
  for (unsigned i = 0; i < 8; ++i) {
    bytes[i] = static_cast<std::uint8_t>(high >> (56 - 8 * i));
    bytes[i + 8] = static_cast<std::uint8_t>(low >> (56 - 8 * i));
  }
  return HexOf(bytes);
}

Result<Uuid> Uuid::FromHex(std::string_view hex) {
  std::array<std::uint8_t, 16> bytes{};
  FURROW_TRY(ParseHex(hex, bytes));
  Uuid uuid;
  for (unsigned i = 0; i < 8; ++i) {
    uuid.high = uuid.high << 8 | bytes[i];
    uuid.low = uuid.low << 8 | bytes[i + 8];
  }
  return uuid;
}

Uuid Uuid::Random() {
  Uuid uuid;
  FURROW_CHECK(::getrandom(&uuid, sizeof(uuid), 0) == static_cast<ssize_t>(sizeof(uuid)),
               "the kernel's random generator failed");
  return uuid;
}

std::string Hash::ToHex() const {
  return HexOf(bytes);
}

Result<Hash> Hash::FromHex(std::string_view hex) {
  Hash hash;
  FURROW_TRY(ParseHex(hex, hash.bytes));
  return hash;
}

}  // namespace furrow
