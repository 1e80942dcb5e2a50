// The Outbox collects what one turn of the controller's loop stores and sends. Reactors fill the Outbox and the loop
// hands it over as one: nothing leaves before the records of this turn, and of all earlier turns, are durable.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "controller/state/effects.h"
#include "controller/state/records.h"
#include "schemas/agent.h"
#include "schemas/client.h"

namespace furrow {

struct AgentSend {
  PeerId peer = 0;
  ToAgent message;
};
struct ClientSend {
  Asker asker;
  ClientReply message;
  bool at_once = false;  // It says nothing that rests on a record, or was read from the store.
  // Where to ask what the store has, if the disk lets the answer wait for long; nothing: the answer has to wait.
  std::optional<HistoryQuery> otherwise = std::nullopt;
};

struct Outbox {
  std::vector<RecordChange> records;
  std::vector<EventRecord> events;
  std::vector<SmallLog> small_logs;
  std::vector<AgentSend> to_agents;
  std::vector<ClientSend> to_clients;
  std::map<std::string, std::size_t> answer_bytes;  // what `to_clients` takes on the wire, by client
  std::vector<BulkCommand> bulk;
  std::vector<PrepareSubmission> submissions;
  std::vector<RepositoryCommand> repositories;
  std::vector<HistoryQuery> history;
  std::vector<AccessCommand> access;
  std::vector<std::string> warnings;  // lines for the log

  bool MustBeStored() const { return !records.empty() || !events.empty() || !small_logs.empty(); }
  bool empty() const {
    return !MustBeStored() && to_agents.empty() && to_clients.empty() && bulk.empty() && submissions.empty() &&
           repositories.empty() && history.empty() && access.empty() && warnings.empty();
  }
};

}  // namespace furrow
