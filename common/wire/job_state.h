// Answers what a state or an outcome alone decides.
#pragma once

#include "schemas/agent.h"
#include "schemas/client.h"

namespace furrow {

inline bool IsTerminal(JobState state) {
  return state >= JobState::kPassed;
}

// Returns the exit status that a shell gives a program which `signal` has ended.
inline int ExitStatusOf(int signal) {
  return 128 + signal;
}

inline bool Passed(const Outcome& outcome) {
  return outcome.kind == OutcomeKind::kExited && outcome.code == 0;
}

}  // namespace furrow
