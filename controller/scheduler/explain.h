// This header explains why a job waits.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "controller/state/state.h"

namespace furrow {

struct WaitCause {
  std::string reason;                // what the job lacks
  std::vector<std::string> holders;  // the jobs that hold these resources: "fashion#41/train on gpu-1"; at most 20
  bool never = false;                // No known agent could ever take the job.
};

// Explains why the ready jobs of a group wait: all of them lack the same.
WaitCause ExplainWait(const State& state, const JobGroup& group);

// Explains each group once, for an answer that shows many jobs. The State does not change meanwhile.
class WaitCauses {
 public:
  explicit WaitCauses(const State& state) : state_(state) {}

  const WaitCause& Of(const JobGroup& group);

 private:
  const State& state_;
  std::unordered_map<const JobGroup*, WaitCause> causes_;
};

}  // namespace furrow
