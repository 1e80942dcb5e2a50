// How far an attempt's log has got on its way to the controller, and what brings it from one state to the next.
#pragma once

#include <cstdint>
#include <optional>

#include "common/base/transitions.h"

namespace furrow {

enum class LogState : std::uint8_t {
  kNew,      // Nothing was ever sent, so the first frame needs no question.
  kUnsure,   // How much the controller has is not known: it has to be asked.
  kAsked,    // LogOpen is sent; its answer says where to go on.
  kSending,  // The controller goes on where we do: frames may be sent.
  kSealing,  // Everything is durable there, and LogSeal is sent.
  kSealed,   // The controller has the whole log.
};

// The first four are brought about here, by Next and OnFinish. The others can come at any time, also late, about
// something that was given up meanwhile; then they change nothing.
enum class LogEvent : std::uint8_t {
  kOpenSent,
  kFrameSent,
  kSealSent,
  kCut,  // The log turned out shorter than what was sent of it.
  kAck,
  kSealed,
  kRefused,  // It was not sealed: what the controller has is not this log.
  kLost,     // The connection broke, nothing was heard for long, or the controller could not take something.
};

constexpr LogState After(LogState state, LogEvent event) {
  using enum LogState;
  constexpr auto never = std::nullopt;
  // clang-format off
  constexpr std::optional<LogState> kTable[6][8] = {
    //             kOpenSent kFrameSent kSealSent kCut      kAck      kSealed   kRefused  kLost
    /* kNew     */ {never,   kSending,  kSealing, never,    kNew,     kNew,     kNew,     kNew},
    /* kUnsure  */ {kAsked,  never,     never,    kUnsure,  kUnsure,  kUnsure,  kUnsure,  kUnsure},
    /* kAsked   */ {never,   never,     never,    kUnsure,  kSending, kAsked,   kAsked,   kUnsure},
    /* kSending */ {never,   kSending,  kSealing, kUnsure,  kSending, kSending, kSending, kUnsure},
    /* kSealing */ {never,   never,     never,    kUnsure,  kSealing, kSealed,  kUnsure,  kUnsure},
    /* kSealed  */ {never,   never,     never,    kSealed,  kSealed,  kSealed,  kSealed,  kSealed},
  };
  // clang-format on
  return NextState(kTable, state, event);
}

}  // namespace furrow
