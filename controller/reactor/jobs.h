// What agents say of their attempts.
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

// Records how one attempt ended and frees what it held. A stale or doubled one is acknowledged and changes nothing.
// kRejected: its log is not sealed as it says; not acknowledged, so that the agent repairs it.
Status On(State& state, Outbox& out, Now now, const Sender& from, const Finished& message);

// A message to an agent broke a cap, which is a fault of ours: an attempt that cannot be assigned has failed, in words.
void OnUnsendable(State& state, Outbox& out, Now now, const AgentSend& send, const std::string& why);

// The bulk channel holds a whole log of this length and hash, durable.
void On(State& state, Outbox& out, Now now, const BulkLogSealed& event);

}  // namespace furrow
