#include "common/wire/metrics.h"

#include <algorithm>
#include <map>

namespace furrow {
namespace {

constexpr const char* kExamples = "examples";

struct Sum {
  double weighted = 0;
  double weight = 0;
  double plain = 0;
  std::size_t count = 0;
  bool all_weighted = true;

  double Mean() const { return all_weighted && weight > 0 ? weighted / weight : plain / static_cast<double>(count); }
};

}  // namespace

Metrics MeanMetrics(const std::vector<const Metrics*>& shards) {
  std::map<std::string, Sum> sums;
  for (const Metrics* metrics : shards) {
    const auto examples =
        std::find_if(metrics->begin(), metrics->end(), [](const auto& metric) { return metric.name == kExamples; });
    for (const auto& [name, value] : *metrics) {
      Sum& sum = sums[name];
      sum.plain += value;
      ++sum.count;
      if (examples == metrics->end()) {
        sum.all_weighted = false;
        continue;
      }
      sum.weighted += value * examples->value;
      sum.weight += examples->value;
    }
  }
  Metrics means;
  for (const auto& [name, sum] : sums) means.push_back({name, name == kExamples ? sum.plain : sum.Mean()});
  return means;
}

}  // namespace furrow
