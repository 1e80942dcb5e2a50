#include "controller/scheduler/plan.h"

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <map>

namespace furrow {
namespace {

bool CarriesLabels(const Offer& offer, const std::vector<std::string>& labels) {
  return std::all_of(labels.begin(), labels.end(), [&](const std::string& label) {
    return std::find(offer.labels.begin(), offer.labels.end(), label) != offer.labels.end();
  });
}

bool ModelMatches(const std::string& model, const std::string& wanted) {
  const auto same = [](char a, char b) {
    return std::tolower(static_cast<unsigned char>(a)) == std::tolower(static_cast<unsigned char>(b));
  };
  return wanted.empty() || std::search(model.begin(), model.end(), wanted.begin(), wanted.end(), same) != model.end();
}

bool GpuSuits(const Gpu& gpu, const Resources& need) {
  return ModelMatches(gpu.model, need.gpu_model) && gpu.memory_bytes >= need.gpu_memory_bytes;
}

std::uint32_t GpusWanted(const Resources& need) {
  return need.gpu_milli == 0 ? 0 : std::max(1u, need.gpu_milli / 1000);
}
std::uint32_t ShareWanted(const Resources& need) {
  return std::min<std::uint32_t>(need.gpu_milli, 1000);
}

// What is left of an agent while a plan is being made.
struct Room {
  const Agent* agent = nullptr;
  std::uint64_t cpu_milli_used = 0;
  std::uint64_t memory_used = 0;
  std::map<std::string, std::uint32_t> gpu_milli_used;

  bool CouldEver(const JobSpec& spec) const {
    const Offer& offer = agent->offer;
    const auto suiting = std::count_if(offer.gpus.begin(), offer.gpus.end(),
                                       [&](const Gpu& gpu) { return GpuSuits(gpu, spec.resources); });
    return CarriesLabels(offer, spec.labels) && spec.resources.cpu_milli <= offer.cpu_milli &&
           spec.resources.memory_bytes <= offer.memory_bytes &&
           static_cast<std::uint64_t>(suiting) >= GpusWanted(spec.resources);
  }

  // The devices it would get, or nothing if it does not fit now. `extra_cpu_milli`: how far CPUs may be
  // promised beyond the offer.
  std::optional<std::vector<std::string>> Fit(const JobSpec& spec, std::uint64_t extra_cpu_milli) const {
    const Resources& need = spec.resources;
    const Offer& offer = agent->offer;
    if (cpu_milli_used + need.cpu_milli > offer.cpu_milli + extra_cpu_milli) return std::nullopt;
    if (memory_used + need.memory_bytes > offer.memory_bytes) return std::nullopt;
    std::vector<std::pair<std::uint32_t, const Gpu*>> candidates;  // (used, device): the fullest that still fits first
    for (const Gpu& gpu : offer.gpus) {
      if (!GpuSuits(gpu, need)) continue;
      const auto it = gpu_milli_used.find(gpu.uuid);
      const std::uint32_t used = it == gpu_milli_used.end() ? 0 : it->second;
      if (used + ShareWanted(need) <= 1000) candidates.emplace_back(used, &gpu);
    }
    const std::uint32_t wanted = GpusWanted(need);
    if (candidates.size() < wanted) return std::nullopt;
    std::stable_sort(candidates.begin(), candidates.end(),
                     [](const auto& a, const auto& b) { return a.first > b.first; });
    std::vector<std::string> uuids;
    for (std::uint32_t i = 0; i < wanted; ++i) uuids.push_back(candidates[i].second->uuid);
    return uuids;
  }

  void Take(const JobSpec& spec, const std::vector<std::string>& uuids) {
    cpu_milli_used += spec.resources.cpu_milli;
    memory_used += spec.resources.memory_bytes;
    for (const std::string& uuid : uuids) gpu_milli_used[uuid] += ShareWanted(spec.resources);
  }
};

Room RoomOf(const Agent& agent) {
  return {&agent, agent.cpu_milli_used, agent.memory_used, agent.gpu_milli_used};
}

// CPUs that may be promised beyond the offer to jobs as short as this group's.
std::uint64_t AheadMilli(const State& state, const JobGroup& group, const Offer& offer) {
  if (group.mean_duration <= Duration::zero() || group.spec->resources.gpu_milli > 0) return 0;
  const Duration mean = std::max<Duration>(group.mean_duration, std::chrono::milliseconds(1));
  const auto deep = static_cast<std::uint64_t>(state.settings.prefetch / mean);
  return std::min<std::uint64_t>(deep, 64) * offer.cpu_milli;
}

// Plans the ready jobs of one group, until none is left or none fits.
class GroupPlanner {
 public:
  GroupPlanner(const State& state, const Run& run, const JobGroup& group, std::vector<Room>& rooms)
      : state_(state), run_(run), group_(group) {
    for (Room& room : rooms)
      if (room.CouldEver(*group.spec)) candidates_.push_back({&room, 0});
    for (Candidate& candidate : candidates_)
      for (JobId id : candidate.room->agent->jobs) {
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
    Room* room;
    std::uint32_t siblings;  // shards of the same job on it
  };

  // Prefers the agent with fewest siblings, then the one with most free CPUs.
  bool Place(const Job& job, bool ahead, std::vector<Assignment>& plan) {
    Candidate* best = nullptr;
    std::vector<std::string> best_uuids;
    const auto free = [](const Candidate& c) {
      return static_cast<std::int64_t>(c.room->agent->offer.cpu_milli) -
             static_cast<std::int64_t>(c.room->cpu_milli_used);
    };
    for (Candidate& candidate : candidates_) {
      if (best != nullptr && (candidate.siblings > best->siblings ||
                              (candidate.siblings == best->siblings && free(candidate) <= free(*best))))
        continue;
      const std::uint64_t extra = ahead ? AheadMilli(state_, group_, candidate.room->agent->offer) : 0;
      if (ahead && extra == 0) continue;
      if (auto uuids = candidate.room->Fit(*group_.spec, extra)) {
        best = &candidate;
        best_uuids = std::move(*uuids);
      }
    }
    if (best == nullptr) return false;
    best->room->Take(*group_.spec, best_uuids);
    ++best->siblings;
    plan.push_back({job.id, best->room->agent->name, std::move(best_uuids)});
    return true;
  }

  const State& state_;
  const Run& run_;
  const JobGroup& group_;
  std::vector<Candidate> candidates_;
};

// "1", "0.25" of thousandths.
std::string Thousandths(std::uint32_t milli) {
  std::string text = std::to_string(milli / 1000);
  if (milli % 1000 == 0) return text;
  text += "." + std::to_string(1000 + milli % 1000).substr(1);
  while (text.back() == '0') text.pop_back();
  return text;
}

std::string Describe(const Resources& need) {
  std::string text = Thousandths(need.cpu_milli) + " CPU";
  if (need.gpu_milli > 0) {
    text += ", " + Thousandths(need.gpu_milli) + " GPU";
    if (!need.gpu_model.empty()) text += " (" + need.gpu_model + ")";
    if (need.gpu_memory_bytes > 0) text += " of " + std::to_string(need.gpu_memory_bytes >> 20) + " MiB";
  }
  if (need.memory_bytes > 0) text += ", " + std::to_string(need.memory_bytes >> 20) + " MiB memory";
  return text;
}

std::string JoinLabels(const std::vector<std::string>& labels) {
  std::string text;
  for (const std::string& label : labels) text += (text.empty() ? "" : ", ") + label;
  return text;
}

}  // namespace

std::vector<Assignment> MakePlan(const State& state, std::size_t limit) {
  std::vector<Room> rooms;
  for (const auto& [name, agent] : state.agents)
    if (agent.session && !agent.drained && agent.trouble.empty()) rooms.push_back(RoomOf(agent));
  std::vector<Assignment> plan;
  if (rooms.empty()) return plan;
  for (const auto& [id, run] : state.runs) {
    if (run.Ended() || run.record.cancelling) continue;
    for (const JobGroup& group : run.groups) {
      if (group.ready.empty()) continue;
      GroupPlanner(state, run, group, rooms).Plan(limit, plan);
      if (plan.size() >= limit) return plan;
    }
  }
  return plan;
}

Lack ExplainWait(const State& state, const Run& run, const Job& job) {
  const JobSpec& spec = *run.GroupOf(job).spec;
  Lack lack;
  if (state.agents.empty()) return {"no agent is known; start furrow-agent on a machine", {}, true};
  std::size_t with_labels = 0;
  std::vector<const Agent*> able;
  for (const auto& [name, agent] : state.agents) {
    if (CarriesLabels(agent.offer, spec.labels)) ++with_labels;
    if (RoomOf(agent).CouldEver(spec)) able.push_back(&agent);
  }
  if (with_labels == 0) return {"no agent carries the labels: " + JoinLabels(spec.labels), {}, true};
  if (able.empty()) return {"no agent is large enough: it asks for " + Describe(spec.resources), {}, true};
  std::size_t connected = 0, drained = 0;
  const Agent* troubled = nullptr;
  for (const Agent* agent : able) {
    if (!agent->session) continue;
    if (agent->drained) {
      ++drained;
      continue;
    }
    if (!agent->trouble.empty()) {
      troubled = agent;
      continue;
    }
    ++connected;
    if (RoomOf(*agent).Fit(spec, 0)) return {"is about to be assigned", {}, false};
    for (JobId id : agent->jobs) {
      const auto [holder_run, holder] = state.FindJob(id);
      if (holder != nullptr && lack.holders.size() < 20)
        lack.holders.push_back(holder_run->JobName(*holder) + " on " + agent->name);
    }
  }
  if (connected == 0 && troubled != nullptr) {
    lack.reason = "no agent that could take it takes jobs; " + troubled->name + ": " + troubled->trouble;
    return lack;
  }
  if (connected == 0 && drained > 0) {
    lack.reason = "every agent that could take it is drained or away; `furrow resume` gives these jobs again:";
    for (const Agent* agent : able)
      if (agent->drained) lack.reason += " " + agent->name;
    return lack;
  }
  if (connected == 0) {
    lack.reason = "every agent that could take it is away:";
    for (const Agent* agent : able) lack.reason += " " + agent->name;
    return lack;
  }
  lack.reason = "waits for " + Describe(spec.resources) + ": " + std::to_string(connected) +
                (connected == 1 ? " agent that could take it is busy" : " agents that could take it are busy");
  return lack;
}

}  // namespace furrow
