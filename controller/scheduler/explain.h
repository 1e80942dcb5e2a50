// This header explains why a job waits.
#pragma once

#include <string>
#include <vector>

#include "controller/state/state.h"

namespace furrow {

struct WaitCause {
  std::string reason;                // what the job lacks
  std::vector<std::string> holders;  // the jobs that hold these resources: "fashion#41/train on gpu-1"; at most 20
  bool never = false;                // No known agent could ever take the job.
};

// Explains why a ready job waits.
WaitCause ExplainWait(const State& state, const Run& run, const Job& job);

}  // namespace furrow
