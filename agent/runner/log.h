// Logs the runner's own messages to stderr, one line each; stderr of a detached runner is <state>/runner.log.
#pragma once

#include <string_view>

namespace furrow::runner {

// Writes "2024-05-01T12:00:00Z words". Never fails: a full disk loses the line, not the runner.
void Log(std::string_view message);

}  // namespace furrow::runner
