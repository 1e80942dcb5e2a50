// Declares the two steps of furrow-torch. Each runs in the job's workspace, prints progress on stdout, appends metrics
// as SPEC.md specifies, and returns only success or an error.
#pragma once

#include <cstdint>

#include "agent/torch/metrics_file.h"
#include "agent/torch/spec.h"
#include "common/base/error.h"

namespace furrow::steps {

// Trains spec.model on spec.data and writes spec.out. On failure spec.out is unchanged.
Status Train(const TrainSpec& spec, MetricsFile& metrics);

struct Shard {
  std::int64_t index = 0;  // < count
  std::int64_t count = 1;
};

// Measures spec.model on this shard of spec.data.
Status Evaluate(const EvaluateSpec& spec, Shard shard, MetricsFile& metrics);

}  // namespace furrow::steps
