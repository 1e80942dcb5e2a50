#include "controller/reactor/turns.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <utility>
#include <variant>

namespace furrow {
namespace {

bool RestsOnNoRecord(const AgentSend& send) {
  return std::holds_alternative<HeartbeatAck>(send.message) || std::holds_alternative<Reregister>(send.message) ||
         std::holds_alternative<Refused>(send.message);
}

template <class One, class Chosen>
std::vector<One> TakeOut(std::vector<One>& all, Chosen chosen) {
  const auto rest = std::stable_partition(all.begin(), all.end(), chosen);
  std::vector<One> taken(std::make_move_iterator(all.begin()), std::make_move_iterator(rest));
  all.erase(all.begin(), rest);
  return taken;
}

void Uncount(Outbox& out, const std::vector<ClientSend>& taken) {
  for (const ClientSend& send : taken) out.answer_bytes[send.asker.name] -= WireBytes(send.message);
  std::erase_if(out.answer_bytes, [](const auto& one) { return one.second == 0; });
}

// Moves the messages that rest on no record out of `out`.
Outbox TakeUnbound(Outbox& out) {
  Outbox unbound;
  unbound.to_agents = TakeOut(out.to_agents, RestsOnNoRecord);
  unbound.to_clients = TakeOut(out.to_clients, [](const ClientSend& send) { return send.at_once; });
  unbound.history = TakeOut(out.history, [](const HistoryQuery& query) { return query.at_once; });
  Uncount(out, unbound.to_clients);
  return unbound;
}

}  // namespace

bool MayOvertake(const HistoryQuery& query) {
  return !std::holds_alternative<Watch>(query.request) && !std::holds_alternative<Retry>(query.request);
}

Turns::Step Turns::Take(Outbox out, Now now) {
  Step step;
  if (out.empty()) return step;
  const bool stored = out.MustBeStored();
  if (!stored && pending_.empty()) {
    step.release.push_back(std::move(out));
    return step;
  }
  Outbox unbound = TakeUnbound(out);
  if (!unbound.empty()) step.release.push_back(std::move(unbound));
  if (stored) {
    step.commit = Turn{++turns_, std::exchange(out.records, {}), std::exchange(out.small_logs, {}),
                       std::exchange(out.events, {})};
    pending_.push_back({turns_, now.mono, std::move(out)});
  } else if (!out.empty()) {
    pending_.push_back({pending_.back().turn, now.mono, std::move(out)});
  }
  return step;
}

Result<std::vector<Outbox>> Turns::OnCommitted(const Committed& committed) {
  if (!committed.status) return tl::unexpected(committed.status.error());
  std::vector<Outbox> release;
  for (; !pending_.empty() && pending_.front().turn <= committed.number; pending_.pop_front())
    release.push_back(std::move(pending_.front().effects));
  return release;
}

Outbox Turns::TakeReaders() {
  Outbox readers;
  for (Pending& one : pending_) {
    std::vector<ClientSend> answers =
        TakeOut(one.effects.to_clients, [](const ClientSend& send) { return send.otherwise.has_value(); });
    Uncount(one.effects, answers);
    std::ranges::move(answers, std::back_inserter(readers.to_clients));
    std::ranges::move(TakeOut(one.effects.history, MayOvertake), std::back_inserter(readers.history));
  }
  return readers;
}

std::set<std::string> Turns::Crowded(std::size_t most) const {
  std::map<std::string, std::size_t> waiting;
  std::set<std::string> crowded;
  for (const Pending& one : pending_) {
    for (const auto& [client, bytes] : one.effects.answer_bytes)
      if ((waiting[client] += bytes) > most) crowded.insert(client);
  }
  return crowded;
}

bool Turns::Behind(Now now, Duration span) const {
  return !pending_.empty() && now.mono - pending_.front().since > span;
}

}  // namespace furrow
