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

bool Capacity::CouldEver(const JobSpec& spec) const {
  const Offer& offer = agent->offer;
  const auto suiting = std::count_if(offer.gpus.begin(), offer.gpus.end(),
                                     [&](const Gpu& gpu) { return GpuSuits(gpu, spec.resources); });
  return CarriesLabels(offer, spec.labels) && spec.resources.cpu_milli <= offer.cpu_milli &&
         spec.resources.memory_bytes <= offer.memory_bytes &&
         static_cast<std::uint64_t>(suiting) >= GpusWanted(spec.resources);
}

std::optional<std::vector<std::string>> Capacity::Fit(const JobSpec& spec, std::uint64_t extra_cpu_milli) const {
  const Resources& need = spec.resources;
  const Offer& offer = agent->offer;
  if (load.cpu_milli + need.cpu_milli > offer.cpu_milli + extra_cpu_milli) return std::nullopt;
  if (load.memory_bytes + need.memory_bytes > offer.memory_bytes) return std::nullopt;
  // The candidates are pairs of (used, device); the fullest device that fits comes first.
  std::vector<std::pair<std::uint32_t, const Gpu*>> candidates;
  for (const Gpu& gpu : offer.gpus) {
    if (!GpuSuits(gpu, need)) continue;
    const auto it = load.gpu_milli.find(gpu.uuid);
    const std::uint32_t used = it == load.gpu_milli.end() ? 0 : it->second;
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

void Capacity::Take(const JobSpec& spec, const std::vector<std::string>& uuids) {
  load.cpu_milli += spec.resources.cpu_milli;
  load.memory_bytes += spec.resources.memory_bytes;
  for (const std::string& uuid : uuids) load.gpu_milli[uuid] += ShareWanted(spec.resources);
}

}  // namespace furrow
