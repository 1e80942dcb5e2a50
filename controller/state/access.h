// Who may come in: the enrolments, the allowlist as it was read last, and what the loop and the enrol endpoint tell
// each other about them. The allowlist file stays the source; a person may edit it, too.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "common/base/error.h"
#include "common/transport/transport.h"
#include "common/wire/messages_enrol.h"
#include "controller/state/records.h"

namespace furrow {

// The client that the command line on the controller's machine is.
inline constexpr const char* kLocalClient = "local";

// ---- state: part of State, changed by reactor_access.cpp alone -------------------------------------------

struct Access {
  // What the controller's own configuration says; set once, at the start.
  std::string public_key;   // the controller's
  std::string host;         // where machines reach it, as far as it knows
  bool advertised = false;  // `host` is configured: no guess
  std::uint16_t enrol_port = 0;

  std::map<EnrolmentId, EnrolmentRecord> enrolments;
  std::map<std::string, KeyRecord> keys;       // by public key: the allowlist as it was read last
  bool read = false;                           // the allowlist was read since the start
  std::map<std::string, TimePoint> shut_out;   // agents that we remember and whose key is gone → since when
  std::map<std::string, std::string> joining;  // name → key that is on its way into the allowlist
  std::map<std::string, WallTime> heard;       // clients by name → last request
  struct Revocation {
    PeerId peer = 0;
    std::uint64_t number = 0;  // of the request that waits
    KeyRecord key;
    bool was_connected = false;
  };
  std::map<std::uint64_t, Revocation> revoking;  // by ticket
  std::uint64_t last_ticket = 0;

  // The key of an agent of this name, or null.
  const KeyRecord* FindAgentKey(const std::string& name) const;
};

// ---- from the enrol endpoint -----------------------------------------------------------------------------

// Somebody wants to join; whether the proof is right is not known yet.
struct EnrolAsked {
  std::uint64_t ticket = 0;
  std::string key;  // that the connection proved to have
  EnrolProve prove;
};
// The answer to LetIn: the line stands in the allowlist, or why not.
struct KeyLetIn {
  EnrolmentId enrolment{};
  AllowedKey key;
  Status status;
};
struct KeyDropped {
  std::uint64_t ticket = 0;
  Status status;
};
// The allowlist was read, at the start or because it changed.
struct AllowlistRead {
  std::vector<AllowedKey> keys;
};
using AccessEvent = std::variant<EnrolAsked, KeyLetIn, KeyDropped, AllowlistRead>;

// ---- to the enrol endpoint -------------------------------------------------------------------------------

// The use is on record: put the key on the allowlist, then tell its owner.
struct LetIn {
  std::uint64_t ticket = 0;
  EnrolmentId enrolment{};
  AllowedKey key;
  std::vector<std::string> labels;
};
struct RefuseEntry {
  std::uint64_t ticket = 0;
  EnrolRefusal reason = EnrolRefusal::kUnknown;
  std::string words;
};
struct DropKey {
  std::uint64_t ticket = 0;
  std::string key;
};
using AccessCommand = std::variant<LetIn, RefuseEntry, DropKey>;

}  // namespace furrow
