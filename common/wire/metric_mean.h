// One value for each metric of a job with several shards.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace furrow {

using Metrics = std::vector<std::pair<std::string, double>>;  // name → newest value

// The mean of each metric over `shards`, in order of name, weighted by "examples" where every shard that has the
// metric reports that too; "examples" itself is summed. No shards, or none with metrics: empty. Null is not allowed.
Metrics MeanMetrics(const std::vector<const Metrics*>& shards);

}  // namespace furrow
