// Checks for doctor the way to the controller, and what the controller says of itself and of this machine.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "common/base/clock.h"
#include "common/doctor/doctor.h"
#include "common/enrol/client.h"
#include "common/transport/transport.h"
#include "schemas/enrol.h"

namespace furrow::doctor {

struct Probed {
  Reached<ProbeAnswer> answer;
  WallTime asked{}, answered{};  // by this machine's clock
};
// Asks the controller's enrol endpoint. Blocks for some seconds if no answer comes.
Probed AskController(const EnrolTarget& target, const KeyPair& keys);

// Reports an obstacle on the way to `where`, with the command that shows more.
Finding CheckObstacle(const std::string& subject, const std::string& where, const Unreached& unreached);
// Checks whether a Furrow listens on control or bulk; blocks.
Finding LookAtPort(const std::string& subject, const std::string& address);

struct Expected {
  std::string where;  // the enrol endpoint, for messages
  KeyRole role = KeyRole::kAgent;
  std::string name;                // the name under which the controller should know the key
  bool knows_key = true;           // false: the probe was made with another key than the daemon's
  std::uint16_t control_port = 0;  // the port that this machine connects to
  std::uint16_t bulk_port = 0;
};
// Checks what the controller's answer says: versions, clock, this machine's key, its ports.
Findings CheckAnswer(const Expected& expected, const Probed& probed);

}  // namespace furrow::doctor
