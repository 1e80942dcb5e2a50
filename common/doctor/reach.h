// doctor: the way to the controller, and what it says of itself and of us.
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
// Asks the controller's enrol endpoint. Blocks for some seconds where nothing answers.
Probed AskController(const EnrolTarget& target, const KeyPair& keys);

// Something that is in the way to `where`, with the command that shows more.
Finding CheckObstacle(const std::string& subject, const std::string& where, const Unreached& unreached);
// Whether a Furrow listens on control or bulk; blocks.
Finding LookAtPort(const std::string& subject, const std::string& address);

struct Expected {
  std::string where;  // of the enrol endpoint, for words
  KeyRole role = KeyRole::kAgent;
  std::string name;                // under which the key should be known
  bool knows_key = true;           // false: the probe was made with another key than the daemon's
  std::uint16_t control_port = 0;  // that we go to
  std::uint16_t bulk_port = 0;
};
// What the controller's answer says: versions, clock, our key, its ports.
Findings CheckAnswer(const Expected& expected, const Probed& probed);

}  // namespace furrow::doctor
