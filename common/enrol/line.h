// Reads and writes the line that `furrow enrol new` prints and `furrow-agent enrol` reads: it holds the controller's
// address and public key, the enrolment's number and the secret. A shell changes none of its characters: letters,
// digits, - _ and a dot.
//
//   furrow1.BASE64URL( controller's key (40 characters) · enrolment (4, big-endian) · secret (16)
//                      · port (2, big-endian) · host · first 4 bytes of the BLAKE2b digest of all bytes before )
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
// Parses a line; spaces around it are cut off. kInvalid: the text is no line, is one of a newer Furrow, or is not
// whole; the message says which and never repeats the text.
Result<EnrolLine> ParseEnrolLine(std::string_view text);

// Returns whether a word begins as an enrolment line does.
bool LooksLikeEnrolLine(std::string_view word);

// Returns "farm.example:7073" or "[fd00::1]:7073".
std::string FormatHostPort(const std::string& host, std::uint16_t port);
struct HostPort {
  std::string host;        // IPv6 without brackets
  std::uint16_t port = 0;  // 0: none was given
};
// Takes such a text apart; the port may be missing. kInvalid: the text is neither HOST nor HOST:PORT.
Result<HostPort> ParseHostPort(std::string_view text);

}  // namespace furrow
