// Metrics of jobs as messages carry them.
#pragma once

#include <cstddef>
#include <vector>

#include "schemas/agent.h"

namespace furrow {

using Metrics = std::vector<Metric>;  // the newest value of each name

// The mean of each metric over `shards`, in order of name, weighted by "examples" where every shard that has the
// metric reports that too; "examples" itself is summed. No shards, or none with metrics: empty. Null is not allowed.
Metrics MeanMetrics(const std::vector<const Metrics*>& shards);

// The lines of one message together take at most so many bytes, so that the rest of a Finished has room in its frame;
// what is left over travels in a message of its own.
inline constexpr std::size_t kMaxMetricsBytes = 3u << 20;

}  // namespace furrow
