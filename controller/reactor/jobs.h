// These reactors handle the messages of agents about their attempts.
#pragma once

#include <string>

#include "common/base/clock.h"
#include "common/base/error.h"
#include "controller/reactor/outbox.h"
#include "controller/state/state.h"
#include "schemas/agent.h"

namespace furrow {

Status On(State& state, Outbox& out, Now now, const Sender& from, const Started& message);
Status On(State& state, Outbox& out, Now now, const Sender& from, const MetricsReport& message);

// Records how one attempt ended and frees its devices. A stale or repeated message is acknowledged and changes nothing.
// kRejected: the log is not sealed as the message says; the message is not acknowledged, so that the agent repairs the
// log.
Status On(State& state, Outbox& out, Now now, const Sender& from, const Finished& message);

// Handles a message to an agent that broke a cap, which is a fault of the controller. An attempt that cannot be
// assigned fails with this reason.
void OnUnsendable(State& state, Outbox& out, Now now, const AgentSend& send, const std::string& why);

// Records that the bulk channel holds a whole, durable log of this length and hash.
void On(State& state, Outbox& out, Now now, const BulkLogSealed& event);

}  // namespace furrow
