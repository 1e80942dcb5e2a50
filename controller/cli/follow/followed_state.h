// How far a log that is followed has been read, and what brings it from one state to the next.
#pragma once

#include <cstdint>
#include <optional>

#include "common/base/transitions.h"

namespace furrow::cli {

enum class FollowedState : std::uint8_t {
  kNone,     // There is nothing to read yet.
  kQueued,   // It waits for its turn.
  kHeld,     // Its turn came, but a job that its job needs has logs that are not whole.
  kReading,  // A stream is open.
  kPausing,  // The stream ended before the log was whole; it is opened again after a moment.
  kWhole,    // This attempt's log was shown to its end, or given up.
};

enum class FollowedEvent : std::uint8_t {
  kFound,     // The job has a log of an attempt that was not read.
  kHold,      // Its turn came too early.
  kRelease,   // What held it is whole.
  kOpen,      // A stream is opened.
  kCutShort,  // The stream ended, and the job does not say that this was all.
  kEnd,       // The stream or the job says that this was all, or there were too many tries.
  kLeave,     // Another log is shown instead.
};

constexpr FollowedState After(FollowedState state, FollowedEvent event) {
  using enum FollowedState;
  constexpr auto never = std::nullopt;
  // clang-format off
  constexpr std::optional<FollowedState> kTable[6][7] = {
    //             kFound   kHold  kRelease kOpen     kCutShort kEnd    kLeave
    /* kNone    */ {kQueued, never, never,   never,    never,    never,  never},
    /* kQueued  */ {never,   kHeld, never,   kReading, never,    never,  never},
    /* kHeld    */ {never,   never, kQueued, never,    never,    never,  never},
    /* kReading */ {never,   never, never,   never,    kPausing, kWhole, kNone},
    /* kPausing */ {never,   never, never,   kReading, never,    kWhole, never},
    /* kWhole   */ {kQueued, never, never,   never,    never,    never,  kNone},
  };
  // clang-format on
  return NextState(kTable, state, event);
}

}  // namespace furrow::cli
