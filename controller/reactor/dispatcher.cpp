#include "controller/reactor/dispatcher.h"

#include <span>

#include "common/base/overloaded.h"
#include "common/wire/request_number.h"
#include "controller/reactor/reactor.h"
#include "schemas/agent.h"
#include "schemas/client.h"

namespace furrow {
namespace {

// Handles a message that belongs to a session, if the session is this agent's current one.
template <class Message>
Status InSession(State& state, Outbox& out, Now now, const Sender& from, const Message& message) {
  const auto owner = state.sessions.find(message.session);
  if (owner == state.sessions.end() || owner->second != from.agent) {
    out.to_agents.push_back({from.peer, Reregister{message.session}});
    return Fail(Errc::kRejected, "agent " + from.agent + ": a message of a session that is over");
  }
  Agent& agent = state.agents.at(from.agent);
  agent.link.session->peer = from.peer;  // the same session over a new connection
  agent.link.heard = now.mono;
  agent.last_seen = now.wall;
  return On(state, out, now, from, message);
}

}  // namespace

Status Dispatch(State& state, Outbox& out, Now now, const Incoming& frame) {
  if (frame.who.role == Role::kAgent) {
    FURROW_ASSIGN(const AgentMessage message, DecodeAgentMessage(frame.payload));
    return DispatchAgent(state, out, now, {frame.peer, frame.who.name}, message);
  }
  state.access.heard[frame.who.name] = now.wall;
  auto decoded = DecodeClientRequest(frame.payload);
  if (!decoded) {
    Refuse(out, {frame.peer, RequestNumberOf(frame.payload), frame.who.name}, Errc::kInvalid, decoded.error().message);
    return tl::unexpected<Error>(decoded.error());
  }
  DispatchClient(state, out, now, {frame.peer, decoded->first, frame.who.name}, decoded->second);
  return {};
}

Status DispatchAgent(State& state, Outbox& out, Now now, const Sender& from, const AgentMessage& message) {
  return std::visit(Overloaded{
                        [&](const Register& first) { return On(state, out, now, from, first); },
                        [&](const auto& later) { return InSession(state, out, now, from, later); },
                    },
                    message);
}

void DispatchClient(State& state, Outbox& out, Now now, const Asker& asker, const ClientRequest& request) {
  std::visit([&](const auto& one) { On(state, out, now, asker, one); }, request);
}

}  // namespace furrow
