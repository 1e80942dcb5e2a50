#include "common/wire/metrics.h"

#include <algorithm>
#include <map>
#include <string>
#include <unordered_map>

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

void KeepNewest(Metrics& newest, const std::vector<MetricLine>& lines, std::size_t most) {
  std::unordered_map<std::string, std::size_t> index;
  for (std::size_t i = 0; i < newest.size(); ++i) index.emplace(newest[i].name, i);
  for (const MetricLine& line : lines) {
    for (const Metric& metric : line.values) {
      if (const auto known = index.find(metric.name); known != index.end()) {
        newest[known->second].value = metric.value;
      } else if (newest.size() < most) {
        index.emplace(metric.name, newest.size());
        newest.push_back(metric);
      }
    }
  }
}

bool FitsMetricsQuota(std::uint64_t lines, std::uint64_t bytes, const MetricLine& next) {
  return lines < kMaxAttemptMetricLines && bytes + WireBytes(next) <= kMaxAttemptMetricBytes;
}

std::string MetricsQuotaWords() {
  return "an attempt may report " + std::to_string(kMaxAttemptMetricLines) + " lines and " +
         std::to_string(kMaxAttemptMetricBytes >> 20) + " MiB of metrics";
}

}  // namespace furrow
