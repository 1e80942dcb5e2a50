// Defines the states of an attempt's log on its way to the controller, and the events that change the state.
#pragma once

#include <cstdint>
#include <optional>

#include "common/base/transitions.h"

namespace furrow {

enum class LogState : std::uint8_t {
  kNew,      // Nothing was ever sent, so the first frame needs no question.
  kUnsure,   // The durable length is not known: the agent has to ask the controller.
  kAsked,    // LogOpen is sent; its answer says where to go on.
  kSending,  // Both sides agree on the durable length: frames may be sent.
  kSealing,  // Everything is durable there, and LogSeal is sent.
  kSealed,   // The controller has the whole log.
};

// Sent and OnFinish cause the first four events. The other events can come at any time. An event about a message that
// the agent has given up meanwhile comes late and changes nothing.
enum class LogEvent : std::uint8_t {
  kOpenSent,
  kFrameSent,
  kSealSent,
  kCut,  // The complete log is shorter than the part that was sent.
  kAck,
  kSealed,
  kRefused,  // The controller did not seal the log, because its bytes are not this log's.
  kLost,     // The connection broke, the controller was not heard for long, or the controller reported an error.
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
