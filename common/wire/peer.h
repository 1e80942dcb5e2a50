// Who is at the other end of a connection.
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

// A key of the allowlist and whose it is.
struct AllowedKey {
  Identity who;
  std::string public_key;
};

// One connection of a peer to a Server, until it goes. Never reused by the same server.
using PeerId = std::uint32_t;

// One message that came over a connection.
struct Incoming {
  PeerId peer = 0;
  Identity who;  // from the key that it proved to have; on an open server without a name
  std::string payload;
  std::string key = {};  // the public key itself; of an open server only
};

}  // namespace furrow
