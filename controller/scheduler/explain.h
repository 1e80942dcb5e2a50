// Why a job waits.
#pragma once

#include <string>
#include <vector>

#include "controller/state/state.h"

namespace furrow {

struct WaitCause {
  std::string reason;                // what it lacks
  std::vector<std::string> holders;  // who has that: "fashion#41/train on gpu-1"; at most 20
  bool never = false;                // no agent that we know could ever take it
};

// Of a ready job.
WaitCause ExplainWait(const State& state, const Run& run, const Job& job);

}  // namespace furrow
