#include "controller/state/supply.h"

#include <algorithm>
#include <bit>
#include <tuple>

#include "common/base/check.h"
#include "controller/state/state.h"

namespace furrow {
namespace {

constexpr std::uint64_t kMostAhead = 64;    // times an agent's CPUs
constexpr std::uint64_t kMemorySteps = 16;  // between a power of two and the next; a step apart is another class

std::vector<std::string> SortedOnce(std::vector<std::string> labels) {
  std::sort(labels.begin(), labels.end());
  labels.erase(std::unique(labels.begin(), labels.end()), labels.end());
  return labels;
}

AgentClassKey KeyOf(const Offer& offer) {
  AgentClassKey key{SortedOnce(offer.labels), {}, offer.cpu_milli, 0, 0};
  const std::uint64_t rest = std::max<std::uint64_t>(std::bit_floor(offer.memory_bytes) / kMemorySteps, 1) - 1;
  key.memory_from = offer.memory_bytes & ~rest;
  key.memory_to = offer.memory_bytes | rest;
  for (const Gpu& gpu : offer.gpus) key.gpus.emplace_back(gpu.model, gpu.memory_bytes);
  std::sort(key.gpus.begin(), key.gpus.end());
  return key;
}

bool IsOf(const AgentClass& in, const Offer& offer) {
  // Most members say the same in the same order, and a key takes longer to make.
  const bool same =
      in.offer.cpu_milli == offer.cpu_milli && in.key->memory_from <= offer.memory_bytes &&
      offer.memory_bytes <= in.key->memory_to && in.offer.labels == offer.labels &&
      std::equal(in.offer.gpus.begin(), in.offer.gpus.end(), offer.gpus.begin(), offer.gpus.end(),
                 [](const Gpu& a, const Gpu& b) { return a.model == b.model && a.memory_bytes == b.memory_bytes; });
  return same || *in.key == KeyOf(offer);
}

Standing StandingOf(const Agent& agent) {
  if (!agent.link.session) return Standing::kAway;
  if (agent.drained) return Standing::kDrained;
  return agent.link.condition.empty() ? Standing::kTaking : Standing::kTroubled;
}

// Calls `visit` with the set in which the agent is filed, or has to be.
template <class Visit>
void InSet(AgentClass& in, Standing standing, Visit visit) {
  switch (standing) {
    case Standing::kTaking: return visit(in.taking);
    case Standing::kDrained: return visit(in.drained);
    case Standing::kTroubled: return visit(in.troubled);
    case Standing::kAway: return visit(in.away);
  }
}

bool IsFreer(const Free& now, const Free& before) {
  return now.cpu_milli > before.cpu_milli || now.memory_bytes > before.memory_bytes ||
         now.all_gpu_milli > before.all_gpu_milli;
}

// Returns how many times an agent's CPUs may be promised beyond the offer to jobs as short as this group's.
std::uint32_t AheadOf(const State& state, const JobGroup& group) {
  if (group.mean_duration <= Duration::zero() || group.spec->resources.gpu_milli > 0) return 0;
  const Duration mean = std::max<Duration>(group.mean_duration, std::chrono::milliseconds(1));
  return static_cast<std::uint32_t>(
      std::min<std::uint64_t>(static_cast<std::uint64_t>(state.settings.prefetch / mean), kMostAhead));
}

}  // namespace

bool ByName::operator()(const Agent* a, const Agent* b) const {
  return a->name < b->name;
}

bool ByFreeCpus::operator()(const Agent* a, const Agent* b) const {
  if (a->filed.free.cpu_milli != b->filed.free.cpu_milli) return a->filed.free.cpu_milli > b->filed.free.cpu_milli;
  return a->name < b->name;
}

Free FreeOf(const Offer& offer, const Load& load) {
  Free free;
  free.cpu_milli = static_cast<std::int64_t>(offer.cpu_milli) - static_cast<std::int64_t>(load.cpu_milli);
  free.memory_bytes = static_cast<std::int64_t>(offer.memory_bytes) - static_cast<std::int64_t>(load.memory_bytes);
  for (const Gpu& gpu : offer.gpus) {
    const auto it = load.gpu_milli.find(gpu.uuid);
    const std::uint32_t used = it == load.gpu_milli.end() ? 0 : std::min(it->second, 1000u);
    if (used == 0) ++free.whole_gpus;
    free.gpu_milli = std::max(free.gpu_milli, 1000 - used);
    free.all_gpu_milli += 1000 - used;
  }
  return free;
}

void Unfile(State& state, Agent& agent) {
  if (agent.filed.in == nullptr) return;
  AgentClass& in = *agent.filed.in;
  InSet(in, agent.filed.standing, [&](auto& set) { set.erase(&agent); });
  if (in.empty()) state.supply.classes.erase(state.supply.classes.find(*in.key));
  state.supply.freer.erase(&agent);
  agent.filed = {};
}

void File(State& state, Agent& agent) {
  const Filed before = agent.filed;
  Filed now{before.in, StandingOf(agent), FreeOf(agent.offer, agent.booked.load)};
  const bool moves = before.in == nullptr || !IsOf(*before.in, agent.offer);
  const bool was_freer = state.supply.freer.contains(&agent);
  if (moves) {
    Unfile(state, agent);
    const auto [found, is_new] = state.supply.classes.try_emplace(KeyOf(agent.offer));
    AgentClass& in = found->second;
    if (is_new) {
      in.key = &found->first;
      in.offer = agent.offer;
      in.offer.memory_bytes = in.key->memory_to;
    }
    now.in = &in;
    agent.filed = now;
    InSet(in, now.standing, [&](auto& set) { set.insert(&agent); });
  } else if (before.standing != now.standing || before.free != now.free) {
    InSet(*before.in, before.standing, [&](auto& set) { set.erase(&agent); });
    agent.filed = now;
    InSet(*now.in, now.standing, [&](auto& set) { set.insert(&agent); });
  }
  const bool freer = moves || before.standing != Standing::kTaking || IsFreer(now.free, before.free);
  if (now.standing == Standing::kTaking && (freer || was_freer))
    state.supply.freer.insert(&agent);
  else
    state.supply.freer.erase(&agent);
}

std::strong_ordering Need::operator<=>(const Need& other) const {
  const auto numbers = [](const Need& need) {
    const Resources& r = need.resources;
    return std::tie(r.cpu_milli, r.memory_bytes, r.gpu_milli, r.gpu_memory_bytes, need.ahead, r.gpu_model, need.labels);
  };
  return numbers(*this) <=> numbers(other);
}

Need NeedOf(const State& state, const JobGroup& group) {
  return {group.spec->resources, SortedOnce(group.spec->labels), AheadOf(state, group)};
}

void Enqueue(State& state, const Run& run, JobGroup& group) {
  const std::pair<RunId, std::uint32_t> place{run.record.id, static_cast<std::uint32_t>(&group - run.groups.data())};
  if (group.queued != nullptr) {
    if (!group.ready.empty() && group.queued->first.ahead == AheadOf(state, group)) return;
    group.queued->second.groups.erase(place);
    if (group.queued->second.groups.empty()) state.demand.queues.erase(state.demand.queues.find(group.queued->first));
    group.queued = nullptr;
  }
  if (group.ready.empty()) return;
  const auto [queue, is_new] = state.demand.queues.try_emplace(NeedOf(state, group));
  if (is_new) queue->second.since = state.demand.plans;
  queue->second.groups.insert(place);
  group.queued = &*queue;
}

void NotePlanned(State& state) {
  state.supply.freer.clear();
  ++state.demand.plans;
}

void CheckFiled(const State& state) {
  std::size_t filed = 0;
  for (const auto& [key, in] : state.supply.classes) {
    FURROW_CHECK(!in.empty() && *in.key == key && KeyOf(in.offer) == key, "a class has members, and their offer");
    filed += in.taking.size() + in.drained.size() + in.troubled.size() + in.away.size();
  }
  FURROW_CHECK(filed == state.agents.size(), "every agent is filed once");
  for (const auto& [name, agent] : state.agents) {
    FURROW_CHECK(agent.filed.in != nullptr && *agent.filed.in->key == KeyOf(agent.offer),
                 "an agent is filed in its class");
    FURROW_CHECK(agent.filed.standing == StandingOf(agent), "an agent is filed by its standing");
    FURROW_CHECK(agent.filed.free == FreeOf(agent.offer, agent.booked.load), "an agent is filed by what it has free");
    bool there = false;
    const Agent* const filed_one = &agent;
    InSet(*agent.filed.in, agent.filed.standing, [&](const auto& set) { there = set.contains(filed_one); });
    FURROW_CHECK(there, "an agent is found where it is filed");
  }
  std::size_t queued = 0;
  for (const auto& [need, queue] : state.demand.queues) {
    FURROW_CHECK(!queue.groups.empty(), "a need without groups is forgotten");
    queued += queue.groups.size();
    for (const auto& [id, index] : queue.groups) {
      const Run* run = state.FindRun(id);
      FURROW_CHECK(run != nullptr && !run->record.cancelling, "no job of a run that is being cancelled is queued");
      const JobGroup& group = run->groups[index];
      FURROW_CHECK(!group.ready.empty() && group.queued != nullptr && &group.queued->second == &queue &&
                       NeedOf(state, group) == need,
                   "a group is queued by its need");
    }
  }
  for (const auto& [id, run] : state.runs)
    for (const JobGroup& group : run.groups)
      if (!group.ready.empty()) --queued;
  FURROW_CHECK(queued == 0, "a group with ready jobs is queued once");
}

}  // namespace furrow
