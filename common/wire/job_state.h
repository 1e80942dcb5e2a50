// Answers what a state or an outcome alone decides.
#pragma once

#include "schemas/agent.h"
#include "schemas/client.h"

namespace furrow {

inline bool IsTerminal(JobState state) {
  return state >= JobState::kPassed;
}

inline bool Passed(const Outcome& outcome) {
  return outcome.kind == OutcomeKind::kExited && outcome.code == 0;
}

}  // namespace furrow
