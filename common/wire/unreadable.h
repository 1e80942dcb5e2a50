// Reads from a message that cannot be decoded what an answer to its sender needs.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "common/base/ids.h"

namespace furrow {

// Returns the request number of a client frame that DecodeClientRequest refuses; 0 if the number cannot be read either.
std::uint64_t RequestNumberOf(std::string_view frame);

struct AssignedAttempt {
  SessionId session{};
  AttemptRef attempt;
};
// Returns the attempt of an Assign that DecodeToAgent refuses; nullopt: the frame is no Assign, or the attempt cannot
// be read either.
std::optional<AssignedAttempt> AssignedAttemptOf(std::string_view frame);

}  // namespace furrow
