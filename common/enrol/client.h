// The other side of a controller's enrol endpoint: asks one question and waits for its answer, and says exactly what is
// in the way where there is none. Blocks, name look-ups included; any thread, one Context each or shared.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "common/base/error.h"
#include "common/transport/transport.h"
#include "schemas/enrol.h"

namespace furrow {

struct EnrolTarget {
  std::string host;  // name or address; IPv6 without brackets
  std::uint16_t port = 0;
  std::string controller_key;  // Z85
};

enum class Obstacle : std::uint8_t {
  kNone,
  kNoSuchHost,      // the name has no address
  kNoRoute,         // nothing of that network can be reached, or the host does not answer
  kTimeout,         // packets vanish: a firewall, or the machine is down
  kNothingListens,  // the host is there and refuses the port
  kNotFurrow,       // something else answers there
  kWrongKey,        // a Furrow, but not the controller with this key
  kClosedPort,      // this controller's, but a port for known keys only: control or bulk
  kNoAnswer,        // it is the one, and says nothing
};

struct Unreached {
  Obstacle obstacle = Obstacle::kNone;
  std::string message;  // for a person: what was tried, what it means, what to do
};
template <class T>
using Reached = tl::expected<T, Unreached>;

// A connection to the endpoint under one key.
class EnrolClient {
 public:
  // Connects within `patience`, or says what is in the way.
  static Reached<EnrolClient> Connect(Context& context, const EnrolTarget& target, const KeyPair& keys,
                                      std::chrono::milliseconds patience);

  // Sends a request until it is answered, under a nonce of its own. kNoAnswer after `patience`.
  Reached<EnrolReply> Ask(EnrolRequest request, std::chrono::milliseconds patience);

 private:
  EnrolClient(std::string where, std::unique_ptr<Channel> channel)
      : where_(std::move(where)), channel_(std::move(channel)) {}

  std::string where_;
  std::unique_ptr<Channel> channel_;
  std::uint64_t nonce_ = 0;
};

// The controller's clock, versions and ports, and whether `keys` is on its allowlist.
Reached<ProbeAnswer> ProbeController(Context& context, const EnrolTarget& target, const KeyPair& keys,
                                     std::chrono::milliseconds patience = std::chrono::seconds(5));

// Whether the endpoint of a Furrow listens there, found out by a greeting alone: kNoSuchHost to kNotFurrow, or kNone.
Unreached LookForFurrow(const std::string& host, std::uint16_t port, std::chrono::milliseconds patience);

}  // namespace furrow
