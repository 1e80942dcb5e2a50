// Is the client of a controller's enrol endpoint: asks one question and waits for the answer, or says exactly what is
// in the way. Calls block, also for name look-ups. Any thread may call; threads may share a Context.
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
  kNoRoute,         // no network leads there, or the host does not answer
  kTimeout,         // packets vanish: a firewall drops them, or the machine is down
  kNothingListens,  // the host refuses the port
  kNotFurrow,       // another program answers there
  kWrongKey,        // a Furrow answers, but not the controller with this key
  kClosedPort,      // the controller's port for known keys only: control or bulk
  kNoAnswer,        // the controller is reached, but sends no answer
};

struct Unreached {
  Obstacle obstacle = Obstacle::kNone;
  std::string message;  // tells a person what was tried, what the result means and what to do
};
template <class T>
using Reached = tl::expected<T, Unreached>;

// An EnrolClient is a connection to the endpoint under one key.
class EnrolClient {
 public:
  // Connects within `patience`, or says what is in the way.
  static Reached<EnrolClient> Connect(Context& context, const EnrolTarget& target, const KeyPair& keys,
                                      std::chrono::milliseconds patience);

  // Sends a request until the answer comes, under a nonce of its own. kNoAnswer: none came within `patience`.
  Reached<EnrolReply> Ask(EnrolRequest request, std::chrono::milliseconds patience);

 private:
  EnrolClient(std::string where, std::unique_ptr<Channel> channel)
      : where_(std::move(where)), channel_(std::move(channel)) {}

  std::string where_;
  std::unique_ptr<Channel> channel_;
  std::uint64_t nonce_ = 0;
};

// Returns the controller's clock, versions and ports, and whether `keys` is on its allowlist.
Reached<ProbeAnswer> ProbeController(Context& context, const EnrolTarget& target, const KeyPair& keys,
                                     std::chrono::milliseconds patience = std::chrono::seconds(5));

// Finds out by a greeting alone whether a Furrow endpoint listens at `host` and `port`: kNoSuchHost to kNotFurrow, or
// kNone.
Unreached LookForFurrow(const std::string& host, std::uint16_t port, std::chrono::milliseconds patience);

}  // namespace furrow
