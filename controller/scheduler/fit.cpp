#include "controller/scheduler/fit.h"

#include <algorithm>
#include <cctype>

namespace furrow {
namespace {

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

}  // namespace

bool CarriesLabels(const Offer& offer, const std::vector<std::string>& labels) {
  return std::all_of(labels.begin(), labels.end(), [&](const std::string& label) {
    return std::find(offer.labels.begin(), offer.labels.end(), label) != offer.labels.end();
  });
}

bool CouldEver(const Offer& offer, const Resources& need, const std::vector<std::string>& labels) {
  if (need.cpu_milli > offer.cpu_milli || need.memory_bytes > offer.memory_bytes) return false;
  const auto suiting =
      std::count_if(offer.gpus.begin(), offer.gpus.end(), [&](const Gpu& gpu) { return GpuSuits(gpu, need); });
  return static_cast<std::uint64_t>(suiting) >= GpusWanted(need) && CarriesLabels(offer, labels);
}

std::int64_t AheadMilli(const Offer& offer, std::uint32_t ahead) {
  return static_cast<std::int64_t>(ahead) * offer.cpu_milli;
}

bool HasRoom(const Free& free, const Resources& need, std::int64_t ahead_milli) {
  if (free.cpu_milli + ahead_milli < static_cast<std::int64_t>(need.cpu_milli)) return false;
  if (free.memory_bytes < static_cast<std::int64_t>(need.memory_bytes)) return false;
  return ShareWanted(need) < 1000 ? free.gpu_milli >= ShareWanted(need) : free.whole_gpus >= GpusWanted(need);
}

std::optional<std::vector<std::string>> FindDevices(const Offer& offer, const Load& load, const Resources& need) {
  const std::uint32_t wanted = GpusWanted(need);
  if (wanted == 0) return std::vector<std::string>{};
  std::vector<std::pair<std::uint32_t, const Gpu*>> candidates;  // (used, device)
  for (const Gpu& gpu : offer.gpus) {
    if (!GpuSuits(gpu, need)) continue;
    const auto it = load.gpu_milli.find(gpu.uuid);
    const std::uint32_t used = it == load.gpu_milli.end() ? 0 : it->second;
    if (used + ShareWanted(need) <= 1000) candidates.emplace_back(used, &gpu);
  }
  if (candidates.size() < wanted) return std::nullopt;
  std::stable_sort(candidates.begin(), candidates.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  std::vector<std::string> uuids;
  for (std::uint32_t i = 0; i < wanted; ++i) uuids.push_back(candidates[i].second->uuid);
  return uuids;
}

bool FitsNow(const AgentClass& in, const Resources& need) {
  for (const Agent* agent : in.taking) {
    if (agent->filed.free.cpu_milli < static_cast<std::int64_t>(need.cpu_milli)) return false;
    if (HasRoom(agent->filed.free, need, 0) && FindDevices(agent->offer, agent->booked.load, need)) return true;
  }
  return false;
}

void Take(Load& load, const Resources& need, const std::vector<std::string>& uuids) {
  load.cpu_milli += need.cpu_milli;
  load.memory_bytes += need.memory_bytes;
  for (const std::string& uuid : uuids) load.gpu_milli[uuid] += ShareWanted(need);
}

}  // namespace furrow
