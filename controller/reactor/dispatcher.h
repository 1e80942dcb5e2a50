// The dispatcher brings a frame to one handler: it decodes the frame, checks that the sender may send the message, and
// calls the reactor. The dispatcher decides nothing else.
#pragma once

#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/wire/peer.h"
#include "controller/reactor/outbox.h"
#include "controller/state/state.h"

namespace furrow {

// Dispatches one frame. An error is for the log: an unreadable frame, a stale session, or a message that the sender may
// not send. The sender gets an answer where the protocol has one (Reregister, Failure).
Status Dispatch(State& state, Outbox& out, Now now, const Incoming& frame);

// Both functions dispatch a decoded message; the simulator calls them directly.
Status DispatchAgent(State& state, Outbox& out, Now now, const Sender& from, const AgentMessage& message);
void DispatchClient(State& state, Outbox& out, Now now, const Asker& asker, const ClientRequest& request);

}  // namespace furrow
