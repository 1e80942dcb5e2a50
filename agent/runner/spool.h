// The file that a job's output goes to. The job's processes write to it themselves; the runner only looks at its
// length, and adds a line of its own when it ends the job or cannot start it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/error.h"

namespace furrow::runner {

// Opens the spool for appending (made 0600 if missing; links are not followed); the caller owns the descriptor.
Result<int> OpenSpool(const std::string& path);

// The length, or 0 if it cannot be told.
std::uint64_t SpoolBytes(int fd);
std::uint64_t SpoolBytes(const std::string& path);

// Cuts the spool to `bytes` if it is longer. Returns whether it was.
bool CutSpool(int fd, std::uint64_t bytes);

// Appends "furrow: `words`" as a line of its own, line breaks in it turned into spaces. A full disk loses the line; the
// outcome says the same.
void AppendFurrowLine(const std::string& path, std::string_view message);

}  // namespace furrow::runner
