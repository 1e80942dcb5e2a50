// Handles metrics of jobs as messages carry them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "schemas/agent.h"

namespace furrow {

using Metrics = std::vector<Metric>;  // the newest value of each name

// Returns the mean of each metric over `shards`, in order of name. The mean is weighted by "examples" where every shard
// that has the metric reports "examples" too; "examples" itself is summed. The result is empty if there are no shards
// or no metrics. No pointer may be null.
Metrics MeanMetrics(const std::vector<const Metrics*>& shards);

// Sets each metric of `newest` to its last value in `lines` and adds those that are new, up to `most` names; further
// names are left out.
void KeepNewest(Metrics& newest, const std::vector<MetricLine>& lines, std::size_t most);

// The lines of one message together take at most so many bytes, so that the rest of a Finished has room in its frame;
// further lines travel in a message of their own.
inline constexpr std::size_t kMaxMetricsBytes = 3u << 20;

// Returns whether an attempt, of which `lines` lines of `bytes` bytes on the wire are kept, may report `next` as well.
bool FitsMetricsQuota(std::uint64_t lines, std::uint64_t bytes, const MetricLine& next);
// Returns the quota in words: "an attempt may report …".
std::string MetricsQuotaWords();

}  // namespace furrow
