// These are the states of a log that is followed, and the events that change them.
#pragma once

#include <cstdint>
#include <optional>

#include "common/base/transitions.h"

namespace furrow::cli {

enum class FollowedState : std::uint8_t {
  kNone,     // There is nothing to read yet.
  kQueued,   // The log waits for its turn.
  kHeld,     // The log's turn came, but a job that its job needs has logs that are not whole.
  kReading,  // A stream is open.
  kPausing,  // The stream ended before the log was whole, and is opened again after a moment.
  kWhole,    // The attempt's log was shown to its end, or given up.
};

enum class FollowedEvent : std::uint8_t {
  kFound,     // The job has a log of an attempt that was not read.
  kHold,      // The log's turn came too early.
  kRelease,   // The logs that held the log back are whole.
  kOpen,      // A stream is opened.
  kCutShort,  // The stream ended, and the job does not say that the log is complete.
  kEnd,       // The stream or the job says that the log is complete, or there were too many tries.
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
