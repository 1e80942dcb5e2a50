// These are the states of a stream of the log readers, and the events that change them.
#pragma once

#include <cstdint>
#include <optional>

#include "common/base/transitions.h"

namespace furrow {

// A read is due if there may be bytes that were not read yet.
enum class StreamState : std::uint8_t {
  kIdle,        // Everything that was there has been read.
  kDue,         // A read is due and begins as soon as the reader gives credit.
  kReading,     // A worker reads the bytes that were there when it began.
  kReadingDue,  // A worker reads, and there was news since, which the worker may have missed.
  kBlocked,     // The peer's queue is full; everything that was there has been read.
  kBlockedDue,  // The peer's queue is full; a read is due.
};

enum class StreamEvent : std::uint8_t {
  kNews,   // The log has grown or ended, the reader gave credit, or an answer did not reach to the end.
  kBegin,  // A worker begins.
  kRead,   // The worker's answer is here.
  kFull,   // The worker's bytes went to the peer, whose queue is full now.
  kRoom,   // The peer's queue has room again.
};

constexpr StreamState After(StreamState state, StreamEvent event) {
  using enum StreamState;
  constexpr auto never = std::nullopt;
  // clang-format off
  constexpr std::optional<StreamState> kTable[6][5] = {
    //                kNews         kBegin     kRead   kFull         kRoom
    /* kIdle       */ {kDue,        never,     never,  kBlocked,     kIdle},
    /* kDue        */ {kDue,        kReading,  never,  kBlockedDue,  kDue},
    /* kReading    */ {kReadingDue, never,     kIdle,  never,        kReading},
    /* kReadingDue */ {kReadingDue, never,     kDue,   never,        kReadingDue},
    /* kBlocked    */ {kBlockedDue, never,     never,  never,        kIdle},
    /* kBlockedDue */ {kBlockedDue, never,     never,  never,        kDue},
  };
  // clang-format on
  return NextState(kTable, state, event);
}

}  // namespace furrow
