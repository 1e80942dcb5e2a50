// The one line that `furrow enrol new` prints and `furrow-agent enrol` reads: where the controller is, its public key,
// which enrolment it is, and the secret. Letters, digits, - _ and a dot: no shell touches it.
//
//   furrow1.BASE64URL( controller's key (40 characters) · enrolment (4, big-endian) · secret (16) · port (2,
//   big-endian) ·
//                      host · first 4 bytes of the BLAKE2b digest of all of this )
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/error.h"
#include "common/enrol/proof.h"

namespace furrow {

struct EnrolLine {
  std::string host;  // name or address; IPv6 without brackets
  std::uint16_t port = 0;
  std::string controller_key;  // Z85
  EnrolmentId enrolment{};
  EnrolSecret secret{};
  friend bool operator==(const EnrolLine&, const EnrolLine&) = default;
};

std::string FormatEnrolLine(const EnrolLine& line);
// Spaces around it are cut off. kInvalid: it is none, of a newer Furrow, or not whole; the message says which and never
// repeats it.
Result<EnrolLine> ParseEnrolLine(std::string_view text);

// Whether a word begins as such a line does.
bool LooksLikeEnrolLine(std::string_view word);

// "farm.example:7073", "[fd00::1]:7073".
std::string FormatHostPort(const std::string& host, std::uint16_t port);
struct HostPort {
  std::string host;        // IPv6 without brackets
  std::uint16_t port = 0;  // 0: none was given
};
// The same taken apart; the port may be left out. kInvalid.
Result<HostPort> ParseHostPort(std::string_view text);

}  // namespace furrow
