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

// Moves the messages that rest on no record out of `out`.
Outbox TakeUnbound(Outbox& out) {
  Outbox unbound;
  const auto bound = std::stable_partition(out.to_agents.begin(), out.to_agents.end(), RestsOnNoRecord);
  unbound.to_agents.assign(std::make_move_iterator(out.to_agents.begin()), std::make_move_iterator(bound));
  out.to_agents.erase(out.to_agents.begin(), bound);
  return unbound;
}

}  // namespace

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
