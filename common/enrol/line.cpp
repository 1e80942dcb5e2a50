#include "common/enrol/line.h"

#include <arpa/inet.h>
#include <sodium.h>

#include <algorithm>
#include <charconv>

#include "common/base/check.h"

namespace furrow {
namespace {

constexpr std::string_view kPrefix = "furrow1.";
constexpr std::string_view kAnyPrefix = "furrow";
constexpr std::size_t kKeyBytes = 40;
constexpr std::size_t kSumBytes = 4;
constexpr std::size_t kFixedBytes = kKeyBytes + 4 + sizeof(EnrolSecret) + 2 + kSumBytes;
constexpr std::size_t kMaxHostBytes = 255;
constexpr int kVariant = sodium_base64_VARIANT_URLSAFE_NO_PADDING;

const unsigned char* BytesOf(const std::string& text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

std::string SumOf(const std::string& bytes) {
  std::array<std::uint8_t, crypto_generichash_BYTES> digest{};
  ::crypto_generichash(digest.data(), digest.size(), BytesOf(bytes), bytes.size(), nullptr, 0);
  return {reinterpret_cast<const char*>(digest.data()), kSumBytes};
}

std::uint32_t NumberAt(const std::string& bytes, std::size_t at, std::size_t size) {
  std::uint32_t value = 0;
  for (std::size_t i = at; i < at + size; ++i) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

std::string_view Trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const std::size_t first = text.find_first_not_of(kSpace);
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

tl::unexpected<Error> Wrong(const std::string& why) {
  return Fail(Errc::kInvalid, why + "; copy the whole line that `furrow enrol new` printed, one word");
}

bool IsHost(std::string_view host) {
  return !host.empty() && host.size() <= kMaxHostBytes &&
         std::all_of(host.begin(), host.end(), [](char c) { return c > ' ' && c < 0x7f && c != '/' && c != '@'; });
}

}  // namespace

std::string FormatEnrolLine(const EnrolLine& line) {
  FURROW_CHECK(line.controller_key.size() == kKeyBytes, "a public key has 40 characters");
  FURROW_CHECK(::sodium_init() >= 0, "libsodium does not start");
  std::string bytes = line.controller_key;
  for (int shift = 24; shift >= 0; shift -= 8) bytes.push_back(static_cast<char>(Raw(line.enrolment) >> shift));
  bytes.append(reinterpret_cast<const char*>(line.secret.data()), line.secret.size());
  bytes.push_back(static_cast<char>(line.port >> 8));
  bytes.push_back(static_cast<char>(line.port));
  bytes += line.host;
  bytes += SumOf(bytes);
  std::string text(sodium_base64_ENCODED_LEN(bytes.size(), kVariant), '\0');
  ::sodium_bin2base64(text.data(), text.size(), BytesOf(bytes), bytes.size(), kVariant);
  text.resize(text.find('\0'));
  return std::string(kPrefix) + text;
}

Result<EnrolLine> ParseEnrolLine(std::string_view whole) {
  FURROW_CHECK(::sodium_init() >= 0, "libsodium does not start");
  const std::string_view text = Trimmed(whole);
  if (text.empty()) return Wrong("there is no enrolment line");
  if (!text.starts_with(kPrefix)) {
    const std::size_t dot = text.find('.');
    if (text.starts_with(kAnyPrefix) && dot != text.npos && dot <= kAnyPrefix.size() + 3)
      return Fail(Errc::kInvalid, "this enrolment line was made by a newer Furrow; upgrade this machine");
    return Wrong("this is no enrolment line: those begin with " + std::string(kPrefix));
  }
  const std::string_view encoded = text.substr(kPrefix.size());
  std::string bytes(encoded.size(), '\0');
  std::size_t length = 0;
  if (::sodium_base642bin(reinterpret_cast<unsigned char*>(bytes.data()), bytes.size(), encoded.data(), encoded.size(),
                          nullptr, &length, nullptr, kVariant) != 0)
    return Wrong("the enrolment line is not whole, or holds something that does not belong there");
  bytes.resize(length);
  if (length <= kFixedBytes) return Wrong("the enrolment line is not whole");
  const std::string sum = bytes.substr(length - kSumBytes);
  bytes.resize(length - kSumBytes);
  if (sum != SumOf(bytes)) return Wrong("the enrolment line is not whole, or a letter of it was changed");
  EnrolLine line;
  line.controller_key = bytes.substr(0, kKeyBytes);
  std::size_t at = kKeyBytes;
  line.enrolment = EnrolmentId{NumberAt(bytes, at, 4)};
  at += 4;
  std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(at), line.secret.size(),
              reinterpret_cast<char*>(line.secret.data()));
  at += line.secret.size();
  line.port = static_cast<std::uint16_t>(NumberAt(bytes, at, 2));
  line.host = bytes.substr(at + 2);
  if (!IsHost(line.host) || line.port == 0) return Wrong("the enrolment line names no controller");
  return line;
}

bool LooksLikeEnrolLine(std::string_view word) {
  return word.starts_with(kPrefix);
}

std::string FormatHostPort(const std::string& host, std::uint16_t port) {
  const bool six = host.find(':') != std::string::npos;
  return (six ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

Result<HostPort> ParseHostPort(std::string_view text) {
  const auto wrong = [whole = std::string(text)] {
    return Fail(Errc::kInvalid, "\"" + whole +
                                    "\" is no address; say HOST or HOST:PORT, as in farm.example:7073 or "
                                    "[fd00::1]:7073");
  };
  HostPort result;
  std::string_view rest;
  if (text.starts_with('[')) {
    const std::size_t end = text.find(']');
    if (end == text.npos) return wrong();
    result.host = text.substr(1, end - 1);
    in6_addr scratch{};
    if (::inet_pton(AF_INET6, result.host.c_str(), &scratch) != 1) return wrong();
    rest = text.substr(end + 1);
  } else {
    const std::size_t colon = text.find(':');
    result.host = text.substr(0, colon);
    if (colon != text.npos) rest = text.substr(colon);
  }
  if (!IsHost(result.host)) return wrong();
  if (rest.empty()) return result;
  const auto [end, failed] = std::from_chars(rest.data() + 1, rest.data() + rest.size(), result.port);
  if (rest.front() != ':' || failed != std::errc{} || end != rest.data() + rest.size() || result.port == 0)
    return wrong();
  return result;
}

}  // namespace furrow
