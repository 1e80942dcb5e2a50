// What anyone with a key may say to a controller's enrol endpoint, and what it answers. schemas/enrol.capnp is the
// wire form, schemas/PROTOCOL.md tells the conversation.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "common/base/clock.h"
#include "common/base/ids.h"

namespace furrow {

inline constexpr std::size_t kMaxEnrolmentLabels = 64;
inline constexpr std::uint32_t kMaxEnrolmentUses = 1'000;  // of one line
inline constexpr std::int64_t kMaxEnrolmentMs = std::int64_t{365} * 24 * 3'600'000;

using EnrolSignature = std::array<std::uint8_t, 64>;

// ---- to the controller -------------------------------------------------------------------------------

struct Probe {
  std::uint64_t nonce = 0;  // of the sender; every answer carries that of its request
  std::string software;
  friend bool operator==(const Probe&, const Probe&) = default;
};

struct EnrolBegin {
  std::uint64_t nonce = 0;
  std::uint16_t oldest_version = 0;
  std::uint16_t newest_version = 0;
  std::string software;
  friend bool operator==(const EnrolBegin&, const EnrolBegin&) = default;
};

struct EnrolProve {
  std::uint64_t nonce = 0;
  EnrolmentId enrolment{};
  std::string name;  // that the agent wants
  std::string host;  // for people
  Hash challenge;    // from EnrolChallenge
  EnrolSignature proof{};
  friend bool operator==(const EnrolProve&, const EnrolProve&) = default;
};

using EnrolRequest = std::variant<Probe, EnrolBegin, EnrolProve>;

// ---- from the controller -----------------------------------------------------------------------------

enum class KeyRole : std::uint8_t { kNone, kAgent, kClient };

struct ProbeAnswer {
  std::uint64_t nonce = 0;
  WallTime wall{};  // the controller's, when it answered
  std::string software;
  std::uint16_t oldest_version = 0;
  std::uint16_t newest_version = 0;
  std::uint16_t control_port = 0;
  std::uint16_t bulk_port = 0;
  KeyRole role = KeyRole::kNone;  // of the key that asks: whether it is on the allowlist
  std::string name;               // and under which name
  friend bool operator==(const ProbeAnswer&, const ProbeAnswer&) = default;
};

struct EnrolChallenge {
  std::uint64_t nonce = 0;
  Hash challenge;  // random
  friend bool operator==(const EnrolChallenge&, const EnrolChallenge&) = default;
};

struct Enrolled {
  std::uint64_t nonce = 0;
  std::string name;
  std::vector<std::string> labels;
  std::uint16_t control_port = 0;
  std::uint16_t bulk_port = 0;
  std::string software;
  friend bool operator==(const Enrolled&, const Enrolled&) = default;
};

enum class EnrolRefusal : std::uint8_t {
  kUnknown,  // never made, or forgotten
  kRevoked,
  kWrongSecret,
  kExpired,
  kUsedUp,
  kNameTaken,  // another key has that name
  kKeyTaken,   // the key is known already, as something else
  kBadName,
  kNoCommonVersion,  // of the protocol
  kBusy,             // not now; nothing was changed
};

struct EnrolRefused {
  std::uint64_t nonce = 0;
  EnrolRefusal reason = EnrolRefusal::kUnknown;
  std::string words;
  friend bool operator==(const EnrolRefused&, const EnrolRefused&) = default;
};

using EnrolReply = std::variant<ProbeAnswer, EnrolChallenge, Enrolled, EnrolRefused>;

}  // namespace furrow
