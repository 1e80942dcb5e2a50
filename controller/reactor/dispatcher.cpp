#include "controller/reactor/dispatcher.h"

#include <span>

#include "common/wire/codec.h"
#include "controller/reactor/reactor.h"

namespace furrow {
namespace {

Bytes AsFrame(const std::string& payload) {
  return {reinterpret_cast<const std::uint8_t*>(payload.data()), payload.size()};
}

// Calls the handler of a message that belongs to a session, if the session is this agent's current one.
template <class Message, class Handler>
Status InSession(State& state, Outbox& out, Now now, PeerId peer, const std::string& name, const Message& message,
                 Handler handler) {
  const auto owner = state.sessions.find(message.session);
  if (owner == state.sessions.end() || owner->second != name) {
    out.to_agents.push_back({peer, Reregister{message.session}});
    return Fail(Errc::kRejected, "agent " + name + ": a message of a session that is over");
  }
  Agent& agent = state.agents.at(name);
  agent.session->peer = peer;  // the same session over a new connection
  agent.heard = now.mono;
  agent.last_seen = now.wall;
  return handler(state, out, now, peer, name, message);
}

struct AgentHandlers {
  State& state;
  Outbox& out;
  Now now;
  PeerId peer;
  const std::string& name;

  Status operator()(const Register& message) const {
    OnRegister(state, out, now, peer, name, message);
    return {};
  }
  Status operator()(const Heartbeat& message) const {
    return InSession(state, out, now, peer, name, message, OnHeartbeat);
  }
  Status operator()(const Started& message) const { return InSession(state, out, now, peer, name, message, OnStarted); }
  Status operator()(const MetricsReport& message) const {
    return InSession(state, out, now, peer, name, message, OnMetricsReport);
  }
  Status operator()(const Finished& message) const {
    return InSession(state, out, now, peer, name, message, OnFinished);
  }
};

struct ClientHandlers {
  State& state;
  Outbox& out;
  Now now;
  PeerId peer;
  std::uint64_t number;
  const ClientRequest& whole;

  void operator()(const Submit& request) const { OnSubmit(state, out, now, peer, number, request); }
  void operator()(const Trigger& request) const { OnTrigger(state, out, now, peer, number, request); }
  void operator()(const WatchRepository& request) const { OnWatchRepository(state, out, now, peer, number, request); }
  void operator()(const Cancel& request) const { OnCancel(state, out, now, peer, number, request); }
  void operator()(const Retry& request) const { OnRetry(state, out, now, peer, number, request); }
  void operator()(const DrainAgent& request) const { OnDrainAgent(state, out, peer, number, request); }
  void operator()(const NewEnrolment& request) const { OnNewEnrolment(state, out, now, peer, number, request); }
  void operator()(const ListEnrolments&) const { OnListEnrolments(state, out, peer, number); }
  void operator()(const RevokeEnrolment& request) const { OnRevokeEnrolment(state, out, now, peer, number, request); }
  void operator()(const ListKeys&) const { OnListKeys(state, out, peer, number); }
  void operator()(const RevokeKey& request) const { OnRevokeKey(state, out, peer, number, request); }
  template <class Question>
  void operator()(const Question&) const {
    OnQuestion(state, out, now, peer, number, whole);
  }
};

}  // namespace

Status Dispatch(State& state, Outbox& out, Now now, const Incoming& frame) {
  if (frame.who.role == Role::kAgent) {
    FURROW_ASSIGN(const AgentMessage message, DecodeAgentMessage(AsFrame(frame.payload)));
    return DispatchAgent(state, out, now, frame.peer, frame.who.name, message);
  }
  state.access.heard[frame.who.name] = now.wall;
  auto decoded = DecodeClientRequest(AsFrame(frame.payload));
  if (!decoded) {
    Answer(out, frame.peer, RequestNumberOf(AsFrame(frame.payload)),
           Failure{Errc::kInvalid, decoded.error().message, "", {}});
    return tl::unexpected<Error>(decoded.error());
  }
  DispatchClient(state, out, now, frame.peer, decoded->first, decoded->second);
  return {};
}

Status DispatchAgent(State& state, Outbox& out, Now now, PeerId peer, const std::string& agent,
                     const AgentMessage& message) {
  return std::visit(AgentHandlers{state, out, now, peer, agent}, message);
}

void DispatchClient(State& state, Outbox& out, Now now, PeerId peer, std::uint64_t number,
                    const ClientRequest& request) {
  std::visit(ClientHandlers{state, out, now, peer, number, request}, request);
}

}  // namespace furrow
