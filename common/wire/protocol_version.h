// Which versions of the protocol this build speaks, and the one place that compares them with another's. A release
// speaks its own version and the one before, so that one release apart works, whichever side is the newer.
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

// The newest version that both speak. kRejected: there is none; the message, made by the controller, says which side to
// upgrade. The softwares are for people: "furrow-agent 0.1.0 (cdbc41d)".
Result<std::uint16_t> NegotiateProtocol(ProtocolRange controller, const std::string& controller_software,
                                        ProtocolRange agent, const std::string& agent_software);

}  // namespace furrow
