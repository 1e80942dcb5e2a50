#include "common/wire/protocol_version.h"

#include <algorithm>

namespace furrow {
namespace {

std::string Words(ProtocolRange range) {
  return range.oldest == range.newest
             ? "protocol " + std::to_string(range.newest)
             : "protocols " + std::to_string(range.oldest) + " to " + std::to_string(range.newest);
}

}  // namespace

Result<std::uint16_t> NegotiateProtocol(ProtocolRange controller, const std::string& controller_software,
                                        ProtocolRange agent, const std::string& agent_software) {
  const std::uint16_t newest = std::min(controller.newest, agent.newest);
  if (newest >= std::max(controller.oldest, agent.oldest) && agent.oldest <= agent.newest) return newest;
  const bool old_agent = agent.newest < controller.oldest;
  return Fail(Errc::kRejected, "the versions are too far apart: this controller (" + controller_software + ") speaks " +
                                   Words(controller) + ", the agent (" + agent_software + ") " + Words(agent) +
                                   "; upgrade the " + (old_agent ? "agent" : "controller"));
}

}  // namespace furrow
