#include "tests/controller/scheduler/reference_plan.h"

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>

namespace furrow::testing {
namespace {

std::string Lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

bool Suits(const Gpu& gpu, const Resources& need) {
  return Lower(gpu.model).find(Lower(need.gpu_model)) != std::string::npos && gpu.memory_bytes >= need.gpu_memory_bytes;
}

// What an agent has left while the plan is being made.
struct Left {
  const Agent* agent;
  Load load;
  std::uint32_t siblings = 0;  // shards of the job that is being planned

  std::int64_t FreeCpus() const {
    return static_cast<std::int64_t>(agent->offer.cpu_milli) - static_cast<std::int64_t>(load.cpu_milli);
  }

  bool Carries(const JobSpec& spec) const {
    for (const std::string& label : spec.labels)
      if (std::count(agent->offer.labels.begin(), agent->offer.labels.end(), label) == 0) return false;
    return spec.resources.cpu_milli <= agent->offer.cpu_milli;
  }

  // Returns the devices for the job, or nothing if the job does not fit.
  std::optional<std::vector<std::string>> Fit(const Resources& need, std::uint64_t extra) const {
    if (load.cpu_milli + need.cpu_milli > agent->offer.cpu_milli + extra) return std::nullopt;
    if (load.memory_bytes + need.memory_bytes > agent->offer.memory_bytes) return std::nullopt;
    const std::uint32_t wanted = need.gpu_milli == 0 ? 0 : std::max(1u, need.gpu_milli / 1000);
    const std::uint32_t each = std::min(need.gpu_milli, 1000u);
    std::vector<std::string> uuids;
    while (uuids.size() < wanted) {
      const Gpu* fullest = nullptr;
      for (const Gpu& gpu : agent->offer.gpus) {
        if (!Suits(gpu, need) || Used(gpu) + each > 1000) continue;
        if (std::count(uuids.begin(), uuids.end(), gpu.uuid) > 0) continue;
        if (fullest == nullptr || Used(gpu) > Used(*fullest)) fullest = &gpu;
      }
      if (fullest == nullptr) return std::nullopt;
      uuids.push_back(fullest->uuid);
    }
    return uuids;
  }

  std::uint32_t Used(const Gpu& gpu) const {
    const auto it = load.gpu_milli.find(gpu.uuid);
    return it == load.gpu_milli.end() ? 0 : it->second;
  }
};

std::uint64_t Extra(const State& state, const JobGroup& group, const Offer& offer) {
  if (group.mean_duration <= Duration::zero() || group.spec->resources.gpu_milli > 0) return 0;
  const Duration mean = std::max<Duration>(group.mean_duration, std::chrono::milliseconds(1));
  return std::min<std::uint64_t>(static_cast<std::uint64_t>(state.settings.prefetch / mean), 64) * offer.cpu_milli;
}

}  // namespace

std::vector<Assignment> ReferencePlan(const State& state, std::size_t limit) {
  std::map<std::string, Left> left;
  for (const auto& [name, agent] : state.agents)
    if (agent.link.session && !agent.drained && agent.link.condition.empty())
      left[name] = {&agent, agent.booked.load, 0};
  std::vector<Assignment> plan;
  for (const auto& [id, run] : state.runs) {
    for (const JobGroup& group : run.groups) {
      const Resources& need = group.spec->resources;
      for (auto& [name, one] : left) one.siblings = 0;
      for (std::uint32_t i = group.first; i < group.first + group.spec->shards; ++i)
        if (const auto on = left.find(run.jobs[i].agent); on != left.end()) ++on->second.siblings;
      for (std::uint32_t i = group.first; i < group.first + group.spec->shards; ++i) {
        if (run.jobs[i].state != JobState::kReady) continue;
        if (plan.size() == limit) return plan;
        Left* best = nullptr;
        std::vector<std::string> uuids;
        for (const bool ahead : {false, true}) {
          for (auto& [name, one] : left) {
            if (best != nullptr) {
              const auto rank = [](const Left& of) { return std::pair(of.siblings, -of.FreeCpus()); };
              if (rank(one) >= rank(*best)) continue;
            }
            const std::uint64_t extra = ahead ? Extra(state, group, one.agent->offer) : 0;
            if (!one.Carries(*group.spec) || (ahead && extra == 0)) continue;
            if (auto fit = one.Fit(need, extra)) {
              best = &one;
              uuids = std::move(*fit);
            }
          }
          if (best != nullptr) break;
        }
        if (best == nullptr) break;
        best->load.cpu_milli += need.cpu_milli;
        best->load.memory_bytes += need.memory_bytes;
        for (const std::string& uuid : uuids) best->load.gpu_milli[uuid] += std::min(need.gpu_milli, 1000u);
        ++best->siblings;
        plan.push_back({run.jobs[i].id, best->agent->name, std::move(uuids)});
      }
    }
  }
  return plan;
}

}  // namespace furrow::testing
