// Who may come in: the enrolments, the allowlist as it was read last, and what the loop and the enrol endpoint tell
// each other about them. The allowlist file stays the source; a person may edit it, too.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

#include "common/base/error.h"
#include "common/wire/peer.h"
#include "controller/state/effects.h"
#include "controller/state/records.h"
#include "schemas/enrol.h"

namespace furrow {

// The client that the command line on the controller's machine is.
inline constexpr const char* kLocalClient = "local";

// ---- state: part of State, changed by controller/reactor/access.cpp alone --------------------------------

struct Access {
  // What the controller's own configuration says; set once, at the start.
  std::string public_key;   // the controller's
  std::string host;         // where machines reach it, as far as it knows
  bool advertised = false;  // `host` is configured: no guess
  std::uint16_t enrol_port = 0;

  std::map<EnrolmentId, EnrolmentRecord> enrolments;
  std::map<std::string, KeyRecord> keys;            // by public key: the allowlist as it was read last
  bool read = false;                                // the allowlist was read since the start
  std::map<std::string, TimePoint> revoked_agents;  // agents that we remember and whose key is gone → since when
  std::map<std::string, std::string> joining;       // name → key that is on its way into the allowlist
  std::map<std::string, WallTime> heard;            // clients by name → last request
  struct Revocation {
    Asker asker;
    KeyRecord key;
    bool was_connected = false;
  };
  std::map<std::uint64_t, Revocation> revoking;  // by ticket
  std::uint64_t last_ticket = 0;

  // The key of an agent of this name, or null.
  const KeyRecord* FindAgentKey(const std::string& name) const;
};

}  // namespace furrow
