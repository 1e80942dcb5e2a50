// Makes and reads the names of connections: see impl.h.
#include <sys/random.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdio>

#include "common/base/check.h"
#include "common/transport/impl.h"

namespace furrow {
namespace {

constexpr std::size_t kNumberDigits = 16;
constexpr std::size_t kRandomBytes = 12;  // Z85 makes 15 characters of them
constexpr std::size_t kRoutingIdBytes = kNumberDigits + kRandomBytes * 5 / 4;

}  // namespace

void FillRandom(void* bytes, std::size_t size) {
  while (::getrandom(bytes, size, 0) != static_cast<ssize_t>(size)) FURROW_CHECK(errno == EINTR, "getrandom failed");
}

std::string MakeRoutingId(std::uint64_t number) {
  std::array<char, kNumberDigits + 1> digits{};
  std::snprintf(digits.data(), digits.size(), "%016llx", static_cast<unsigned long long>(number));
  std::array<std::uint8_t, kRandomBytes> random{};
  FillRandom(random.data(), random.size());
  std::array<char, kRandomBytes * 5 / 4 + 1> secret{};
  ::zmq_z85_encode(secret.data(), random.data(), random.size());
  return std::string(digits.data()) + secret.data();
}

std::optional<PeerId> NumberOfRoutingId(std::string_view id) {
  if (id.size() != kRoutingIdBytes) return std::nullopt;
  PeerId number = 0;
  const char* end = id.data() + kNumberDigits;
  const auto parsed = std::from_chars(id.data(), end, number, 16);
  if (parsed.ec != std::errc() || parsed.ptr != end) return std::nullopt;
  return number;
}

}  // namespace furrow
