// Says who is at the other end of a connection.
#pragma once

#include <compare>
#include <cstdint>
#include <string>

namespace furrow {

enum class Role : std::uint8_t { kAgent, kClient };
struct Identity {
  Role role = Role::kClient;
  std::string name;  // [A-Za-z0-9_.-]{1,64}
  friend auto operator<=>(const Identity&, const Identity&) = default;
};

// An AllowedKey is a key of the allowlist and the peer that owns it.
struct AllowedKey {
  Identity who;
  std::string public_key;
};

// A PeerId names one connection of a peer to a Server until the peer goes. A server never reuses a PeerId.
using PeerId = std::uint64_t;

// An Incoming is one message that came over a connection.
struct Incoming {
  PeerId peer = 0;
  Identity who;  // the peer proved to have this identity's key; without a name on an open server
  std::string payload;
  std::string key = {};  // the public key itself; on an open server only
};

}  // namespace furrow
