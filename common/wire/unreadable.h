// What can still be told of a message that is not understood, so that its sender can be answered.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "common/base/ids.h"

namespace furrow {

// The request number of a client frame that DecodeClientRequest refuses; 0 if not even that can be read.
std::uint64_t RequestNumberOf(std::string_view frame);

struct AssignedAttempt {
  SessionId session{};
  AttemptRef attempt;
};
// What an Assign that DecodeToAgent refuses is about; nullopt: the frame is none, or not even that can be read.
std::optional<AssignedAttempt> AssignedAttemptOf(std::string_view frame);

}  // namespace furrow
