// From a frame to one handler: decodes it, checks that its sender may say this, calls the reactor. Decides
// nothing else.
#pragma once

#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/wire/peer.h"
#include "controller/reactor/outbox.h"
#include "controller/state/state.h"

namespace furrow {

// An error is for the log: a frame that is not understood, a stale session, a message that is not the
// sender's to send. The sender is answered where the protocol says so (Reregister, Failure).
Status Dispatch(State& state, Outbox& out, Now now, const Incoming& frame);

// The same behind the decoding, for the simulator.
Status DispatchAgent(State& state, Outbox& out, Now now, const Sender& from, const AgentMessage& message);
void DispatchClient(State& state, Outbox& out, Now now, const Asker& asker, const ClientRequest& request);

}  // namespace furrow
