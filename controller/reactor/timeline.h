// Tells what belongs to an older timeline of the farm: what was given out before a restore or takeover, and may since
// have gone another way than this controller knows.
#pragma once

#include <algorithm>
#include <cstdint>

#include "controller/state/state.h"

namespace furrow {

// The epochs of each timeline lie above those of the timelines before, so that no attempt of an older one can be taken
// for an attempt of this one.
inline constexpr std::uint64_t kEpochsPerTimeline = 1 << 20;

// Returns the epoch of a job's next attempt.
inline Epoch NextEpoch(const State& state, Epoch last) {
  const std::uint64_t first = (std::max<std::uint64_t>(state.farm.timeline, 1) - 1) * kEpochsPerTimeline + 1;
  return Epoch{std::max(first, Raw(last) + 1)};
}

// Returns whether an attempt was given out in an older timeline. Such an attempt ends: nobody knows whether its job
// went on elsewhere.
inline bool IsOutdated(const State& state, Epoch epoch) {
  return Raw(epoch) != 0 && NextEpoch(state, Epoch{}) > epoch;
}

}  // namespace furrow
