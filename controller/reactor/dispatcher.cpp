#include "controller/reactor/dispatcher.h"

#include <span>

#include "common/base/overloaded.h"
#include "common/wire/unreadable.h"
#include "controller/reactor/answer.h"
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
  agent.link.session->peer = from.peer;  // The session goes on over a new connection.
  agent.link.heard = now.mono;
  agent.last_seen = now.wall;
  return On(state, out, now, from, message);
}

// Reports an unreadable message to the agent and in `furrow agents`, and to the log when the reason is new.
Status OnUnreadable(State& state, Outbox& out, const Sender& from, const std::string& why) {
  out.to_agents.push_back({from.peer, Refused{0, "a message of this agent could not be read: " + why, 0}});
  std::string& known = state.unreadable[from.agent];
  if (known == why) return {};
  known = why;
  return Fail(Errc::kInvalid, "it sent what cannot be read: " + why);
}

}  // namespace

Status Dispatch(State& state, Outbox& out, Now now, const Incoming& frame) {
  if (frame.who.role == Role::kAgent) {
    const Sender from{frame.peer, frame.who.name};
    const Result<AgentMessage> message = DecodeAgentMessage(frame.payload);
    if (!message) return OnUnreadable(state, out, from, message.error().message);
    return DispatchAgent(state, out, now, from, *message);
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
                        [&](const Register& first) {
                          state.unreadable.erase(from.agent);
                          return On(state, out, now, from, first);
                        },
                        [&](const auto& later) { return InSession(state, out, now, from, later); },
                    },
                    message);
}

void DispatchClient(State& state, Outbox& out, Now now, const Asker& asker, const ClientRequest& request) {
  if (IsCrowded(state, out, asker))
    return Refuse(out, asker, Errc::kUnavailable, "many answers wait for you; read them, and ask again");
  std::visit([&](const auto& one) { On(state, out, now, asker, one); }, request);
}

}  // namespace furrow
