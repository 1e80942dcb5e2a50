#include "controller/scheduler/plan.h"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <queue>
#include <set>
#include <string>
#include <tuple>
#include <utility>

#include "controller/scheduler/draft.h"
#include "controller/scheduler/fit.h"

namespace furrow {
namespace {

// With more agents than these a look at each of them for each need costs more than a look at the classes.
constexpr std::size_t kFewAgents = 16;

using Place = std::pair<RunId, std::uint32_t>;  // a group, as in Queue::groups

// Plans the ready jobs of one group, until none is left or none fits.
class GroupPlanner {
 public:
  GroupPlanner(Draft& draft, const Need& need, const Run& run, const JobGroup& group)
      : draft_(draft), need_(need), run_(run), group_(group) {}

  // Returns whether every ready job found an agent. `agents` is what the jobs may go to.
  bool Plan(const Candidates& agents, std::size_t limit, std::vector<Assignment>& plan) {
    for (const bool ahead : {false, true}) {
      if (ahead && need_.ahead == 0) break;
      Search search(draft_, agents, need_, group_, shards_, ahead ? need_.ahead : 0);
      while (next_ < group_.ready.size() && plan.size() < limit) {
        std::optional<Find> found = search.Next();
        if (!found) break;
        ++shards_[found->agent];
        draft_.Take(*found->agent, need_.resources, found->uuids);
        search.Return(*found->agent);
        plan.push_back({run_.jobs[group_.ready[next_++]].id, found->agent->name, std::move(found->uuids)});
      }
    }
    draft_.Sort();
    return next_ == group_.ready.size();
  }

 private:
  Draft& draft_;
  const Need& need_;
  const Run& run_;
  const JobGroup& group_;
  std::size_t next_ = 0;  // index into group_.ready
  Shards shards_;
};

class Planner {
 public:
  Planner(const State& state, std::size_t limit) : state_(state), limit_(limit) {}

  std::vector<Assignment> Plan() {
    for (const auto& [need, queue] : state_.demand.queues) {
      std::optional<Candidates> agents = CandidatesFor(need, queue);
      if (!agents) continue;
      waiting_.push_back({&need, std::move(*agents), queue.groups.begin(), queue.groups.end()});
    }
    std::priority_queue<std::pair<Place, std::size_t>, std::vector<std::pair<Place, std::size_t>>, std::greater<>> next;
    for (std::size_t i = 0; i < waiting_.size(); ++i) next.push({*waiting_[i].group, i});
    while (!next.empty() && plan_.size() < limit_) {
      const auto [place, i] = next.top();
      next.pop();
      Waiting& waiting = waiting_[i];
      const Run& run = state_.runs.at(place.first);
      if (IsHopeless(*waiting.need)) continue;
      GroupPlanner planner(draft_, *waiting.need, run, run.groups[place.second]);
      if (!planner.Plan(waiting.agents, limit_, plan_))
        hopeless_[KindOf(*waiting.need)].push_back(waiting.need);
      else if (++waiting.group != waiting.end)
        next.push({*waiting.group, i});
    }
    return std::move(plan_);
  }

 private:
  struct Waiting {
    const Need* need;
    Candidates agents;
    std::set<Place>::const_iterator group, end;
  };

  // Needs of one kind differ in CPUs and memory alone.
  using Kind = std::tuple<std::vector<std::string>, std::uint32_t, std::string, std::uint64_t>;
  static Kind KindOf(const Need& need) {
    return {need.labels, need.resources.gpu_milli, need.resources.gpu_model, need.resources.gpu_memory_bytes};
  }

  // Returns whether the plan has found no room for less than this need: then it finds none for the need, either.
  bool IsHopeless(const Need& need) const {
    const auto known = hopeless_.find(KindOf(need));
    return known != hopeless_.end() && std::any_of(known->second.begin(), known->second.end(), [&](const Need* less) {
             return less->resources.cpu_milli <= need.resources.cpu_milli &&
                    less->resources.memory_bytes <= need.resources.memory_bytes && less->ahead >= need.ahead;
           });
  }

  // Returns the agents that may have room for the need; nothing: none has.
  std::optional<Candidates> CandidatesFor(const Need& need, const Queue& queue) const {
    Candidates agents;
    const Supply& supply = state_.supply;
    if (!queue.IsNew(state_.demand.plans) && supply.freer.size() <= kFewAgents) {
      for (const Agent* agent : supply.freer)
        if (HasRoom(agent->filed.free, need.resources, AheadMilli(agent->offer, need.ahead)) &&
            CouldEver(agent->offer, need.resources, need.labels))
          agents.agents.push_back(agent);
    } else {
      for (const auto& [key, in] : supply.classes)
        if (!in.taking.empty() && CouldEver(in.offer, need.resources, need.labels)) agents.classes.push_back(&in);
    }
    if (agents.agents.empty() && agents.classes.empty()) return std::nullopt;
    return agents;
  }

  const State& state_;
  const std::size_t limit_;
  Draft draft_;
  std::vector<Waiting> waiting_;
  std::map<Kind, std::vector<const Need*>> hopeless_;
  std::vector<Assignment> plan_;
};

}  // namespace

std::vector<Assignment> MakePlan(const State& state, std::size_t limit) {
  return Planner(state, limit).Plan();
}

}  // namespace furrow
