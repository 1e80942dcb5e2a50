#include "controller/scheduler/plan.h"

#include <algorithm>
#include <cstdint>

#include "controller/scheduler/fit.h"

namespace furrow {
namespace {

// Returns the CPUs that may be promised beyond the offer to jobs as short as this group's.
std::uint64_t AheadMilli(const State& state, const JobGroup& group, const Offer& offer) {
  if (group.mean_duration <= Duration::zero() || group.spec->resources.gpu_milli > 0) return 0;
  const Duration mean = std::max<Duration>(group.mean_duration, std::chrono::milliseconds(1));
  const auto deep = static_cast<std::uint64_t>(state.settings.prefetch / mean);
  return std::min<std::uint64_t>(deep, 64) * offer.cpu_milli;
}

// Plans the ready jobs of one group, until none is left or none fits.
class GroupPlanner {
 public:
  GroupPlanner(const State& state, const Run& run, const JobGroup& group, std::vector<Capacity>& capacities)
      : state_(state), run_(run), group_(group) {
    for (Capacity& capacity : capacities)
      if (capacity.CouldEver(*group.spec)) candidates_.push_back({&capacity, 0});
    for (Candidate& candidate : candidates_)
      for (JobId id : candidate.capacity->agent->booked.jobs) {
        const std::uint64_t index = Raw(id) - Raw(run.record.first_job);
        if (Raw(id) >= Raw(run.record.first_job) && index >= group.first && index < group.first + group.spec->shards)
          ++candidate.siblings;
      }
  }

  void Plan(std::size_t limit, std::vector<Assignment>& plan) {
    if (candidates_.empty()) return;
    for (std::uint32_t index : group_.ready) {
      if (plan.size() >= limit) return;
      const Job& job = run_.jobs[index];
      if (job.state != JobState::kReady) continue;
      if (!Place(job, /*ahead=*/false, plan) && !Place(job, /*ahead=*/true, plan)) return;
    }
  }

 private:
  struct Candidate {
    Capacity* capacity;
    std::uint32_t siblings;  // shards of the same job on the agent
  };

  // Assigns the job to the agent with the fewest siblings, and among those to the one with the most free CPUs.
  bool Place(const Job& job, bool ahead, std::vector<Assignment>& plan) {
    Candidate* best = nullptr;
    std::vector<std::string> best_uuids;
    const auto free = [](const Candidate& c) {
      return static_cast<std::int64_t>(c.capacity->agent->offer.cpu_milli) -
             static_cast<std::int64_t>(c.capacity->load.cpu_milli);
    };
    for (Candidate& candidate : candidates_) {
      if (best != nullptr && (candidate.siblings > best->siblings ||
                              (candidate.siblings == best->siblings && free(candidate) <= free(*best))))
        continue;
      const std::uint64_t extra = ahead ? AheadMilli(state_, group_, candidate.capacity->agent->offer) : 0;
      if (ahead && extra == 0) continue;
      if (auto uuids = candidate.capacity->Fit(*group_.spec, extra)) {
        best = &candidate;
        best_uuids = std::move(*uuids);
      }
    }
    if (best == nullptr) return false;
    best->capacity->Take(*group_.spec, best_uuids);
    ++best->siblings;
    plan.push_back({job.id, best->capacity->agent->name, std::move(best_uuids)});
    return true;
  }

  const State& state_;
  const Run& run_;
  const JobGroup& group_;
  std::vector<Candidate> candidates_;
};

}  // namespace

std::vector<Assignment> MakePlan(const State& state, std::size_t limit) {
  std::vector<Capacity> capacities;
  for (const auto& [name, agent] : state.agents)
    if (agent.link.session && !agent.drained && agent.link.condition.empty()) capacities.emplace_back(agent);
  std::vector<Assignment> plan;
  if (capacities.empty()) return plan;
  for (const auto& [id, run] : state.runs) {
    if (run.Ended() || run.record.cancelling) continue;
    for (const JobGroup& group : run.groups) {
      if (group.ready.empty()) continue;
      GroupPlanner(state, run, group, capacities).Plan(limit, plan);
      if (plan.size() >= limit) return plan;
    }
  }
  return plan;
}

}  // namespace furrow
