#include "common/wire/unreadable.h"

#include "common/wire/codec.h"
#include "schemas/agent.capnp.h"
#include "schemas/agent.h"
#include "schemas/client.capnp.h"
#include "schemas/client.h"

namespace furrow {

std::uint64_t RequestNumberOf(std::string_view frame) {
  std::uint64_t number = 0;
  const Status opened = codec::OpenFrame(frame, kMaxClientRequestFrame, "request", [&](capnp::MessageReader& reader) {
    number = reader.getRoot<wire::Request>().getNumber();
  });
  return opened ? number : 0;
}

std::optional<AssignedAttempt> AssignedAttemptOf(std::string_view frame) {
  std::optional<AssignedAttempt> found;
  const Status opened = codec::OpenFrame(frame, kMaxToAgentFrame, "assign", [&](capnp::MessageReader& reader) {
    const auto root = reader.getRoot<wire::ToAgent>();
    if (!root.isAssign()) return;
    const auto assign = root.getAssign();
    found = AssignedAttempt{SessionId{assign.getSession()}, codec::ReadAttempt(assign.getAttempt())};
  });
  return opened ? found : std::nullopt;
}

}  // namespace furrow
