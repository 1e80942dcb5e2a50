#include "controller/scheduler/draft.h"

#include <utility>

#include "controller/scheduler/fit.h"

namespace furrow {

// ---- Draft ---------------------------------------------------------------------------------------------

const Free& Draft::FreeOf(const Agent& agent) const {
  const auto it = taken_.find(&agent);
  return it == taken_.end() ? agent.filed.free : it->second.free;
}

const Load& Draft::LoadOf(const Agent& agent) const {
  const auto it = taken_.find(&agent);
  return it == taken_.end() ? agent.booked.load : it->second.load;
}

void Draft::Take(const Agent& agent, const Resources& need, const std::vector<std::string>& uuids) {
  const auto [it, is_new] = taken_.try_emplace(&agent);
  Taken& taken = it->second;
  if (is_new) taken.load = agent.booked.load;
  furrow::Take(taken.load, need, uuids);
  taken.free = furrow::FreeOf(agent.offer, taken.load);
  if (!std::exchange(taken.moved, true)) moved_.push_back(&agent);
}

void Draft::Sort() {
  for (const Agent* agent : moved_) {
    Taken& taken = taken_.at(agent);
    std::set<Spot>& touched = classes_[agent->filed.in].touched;
    if (taken.spot) touched.erase(*taken.spot);
    taken.spot = Spot{taken.free.cpu_milli, agent};
    touched.insert(*taken.spot);
    taken.moved = false;
  }
  moved_.clear();
}

Draft::Members::const_iterator Draft::Untouched(const AgentClass& in) {
  Rest& rest = classes_[&in];
  if (!rest.untouched) rest.untouched = in.taking.begin();
  while (*rest.untouched != in.taking.end() && Has(***rest.untouched)) ++*rest.untouched;
  return *rest.untouched;
}

// ---- Search --------------------------------------------------------------------------------------------

Search::Search(Draft& draft, const Candidates& agents, const Need& need, const JobGroup& group, const Shards& shards,
               std::uint32_t ahead)
    : draft_(draft), agents_(agents), need_(need), group_(group), shards_(shards), ahead_(ahead) {
  draft_.Sort();
  for (const AgentClass* in : agents.classes) {
    const std::set<Spot>& touched = draft.Touched(*in);
    streams_.push_back(
        {in, draft.Untouched(*in), in->taking.end(), touched.begin(), touched.end(), AheadMilli(in->offer, ahead)});
    PushHead(streams_.size() - 1);
  }
}

std::uint32_t Search::ShardsOn(const Agent& agent) const {
  std::uint32_t count = 0;
  if (const auto it = group_.on.find(&agent); it != group_.on.end()) count += it->second;
  if (const auto it = shards_.find(&agent); it != shards_.end()) count += it->second;
  return count;
}

std::optional<Find> Search::TryOn(const Agent& agent) const {
  if (!HasRoom(draft_.FreeOf(agent), need_.resources, AheadMilli(agent.offer, ahead_))) return std::nullopt;
  auto uuids = FindDevices(agent.offer, draft_.LoadOf(agent), need_.resources);
  if (!uuids) return std::nullopt;
  return Find{&agent, std::move(*uuids)};
}

// Puts the next agent of the stream among the heads, unless the CPUs of all further ones are too few.
void Search::PushHead(std::size_t index) {
  Stream& stream = streams_[index];
  while (stream.untouched != stream.untouched_end && draft_.Has(**stream.untouched)) ++stream.untouched;
  const bool first = stream.untouched != stream.untouched_end;
  const bool second = stream.touched != stream.touched_end;
  if (!first && !second) return;
  Spot spot;
  if (first) spot = {(*stream.untouched)->filed.free.cpu_milli, *stream.untouched};
  if (!first || (second && *stream.touched < spot))
    spot = *stream.touched++;
  else
    ++stream.untouched;
  if (spot.cpu_milli + stream.ahead_milli < static_cast<std::int64_t>(need_.resources.cpu_milli)) return;
  heads_.push({spot, index});
}

// Ranks the candidates that have shards of the group, and those that come in no stream.
void Search::PushSiblings() {
  siblings_pushed_ = true;
  for (const Agent* agent : agents_.agents) Return(*agent);
  if (agents_.classes.empty()) return;
  for (const auto& [agent, shards] : group_.on)
    if (agent->filed.standing == Standing::kTaking && CouldEver(agent->offer, need_.resources, need_.labels))
      Return(*agent);
  for (const auto& [agent, shards] : shards_)
    if (!group_.on.contains(agent)) Return(*agent);
}

std::optional<Find> Search::Next() {
  while (!heads_.empty()) {
    const Head head = heads_.top();
    heads_.pop();
    PushHead(head.stream);
    if (ShardsOn(*head.spot.agent) > 0) continue;
    if (auto found = TryOn(*head.spot.agent)) return found;
  }
  if (!siblings_pushed_) PushSiblings();
  while (!ranked_.empty()) {
    const Agent& agent = *ranked_.top().spot.agent;
    ranked_.pop();
    if (auto found = TryOn(agent)) return found;
  }
  return std::nullopt;
}

void Search::Return(const Agent& agent) {
  // Before the first look at agents with shards this one is found among those.
  if (siblings_pushed_) ranked_.push({ShardsOn(agent), {draft_.FreeOf(agent).cpu_milli, &agent}});
}

}  // namespace furrow
