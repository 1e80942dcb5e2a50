// The runner's own messages: one line each on stderr, which is <state>/runner.log once it is detached.
#pragma once

#include <string_view>

namespace furrow::runner {

// Writes "2024-05-01T12:00:00Z words". Never fails: a full disk loses the line, not the runner.
void Log(std::string_view message);

}  // namespace furrow::runner
