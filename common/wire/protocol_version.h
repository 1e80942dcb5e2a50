// Says which versions of the protocol this build speaks; only this file compares them with another build's. A release
// speaks its own version and the one before, so that two releases in succession work together, whichever side is newer.
#pragma once

#include <cstdint>
#include <string>

#include "common/base/error.h"

namespace furrow {

inline constexpr std::uint16_t kNewestProtocol = 1;
inline constexpr std::uint16_t kOldestProtocol = kNewestProtocol > 1 ? kNewestProtocol - 1 : 1;

struct ProtocolRange {
  std::uint16_t oldest = kOldestProtocol;
  std::uint16_t newest = kNewestProtocol;
};

// Returns the newest version that both sides speak. kRejected: there is none; the controller makes the message, which
// says which side to upgrade. The names of the software are for people: "furrow-agent 0.1.0 (cdbc41d)".
Result<std::uint16_t> NegotiateProtocol(ProtocolRange controller, const std::string& controller_software,
                                        ProtocolRange agent, const std::string& agent_software);

}  // namespace furrow
