// Access is the part of the state that says which machines and people may connect: the enrolments, and the allowlist as
// the controller last read it. The allowlist file stays the source, because a person may edit the file, too.
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

// The command line on the controller's own machine is the client of this name.
inline constexpr const char* kLocalClient = "local";

// ---- state: part of State, changed by controller/reactor/access.cpp alone --------------------------------

struct Access {
  // These four fields come from the controller's own configuration and are set once, at the start.
  std::string public_key;   // the controller's key
  std::string host;         // the address at which machines reach the controller, as far as the controller knows
  bool advertised = false;  // `host` is configured, not guessed.
  std::uint16_t enrol_port = 0;

  std::map<EnrolmentId, EnrolmentRecord> enrolments;
  std::map<std::string, KeyRecord> keys;            // by public key: the allowlist as it was last read
  std::map<std::string, std::string> key_of;        // agent name → its public key, the first of several
  bool read = false;                                // The allowlist was read since the start.
  std::map<std::string, TimePoint> revoked_agents;  // known agents whose key is gone → since when
  std::map<std::string, std::string> joining;       // agent name → key on its way into the allowlist
  std::map<std::string, WallTime> heard;            // client name → time of the last request
  struct Revocation {
    Asker asker;
    KeyRecord key;
    bool was_connected = false;
  };
  std::map<std::uint64_t, Revocation> revoking;  // by ticket
  std::uint64_t last_ticket = 0;

  // Both change `keys` and what follows from them.
  void SetKeys(std::map<std::string, KeyRecord> all);
  void AddKey(KeyRecord key);

  // Returns the key of the agent of this name, or null.
  const KeyRecord* FindAgentKey(const std::string& name) const;
};

}  // namespace furrow
