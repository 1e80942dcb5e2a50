// Handles the spool, the file of a job's output (agent/runner/output.h writes it), and adds a line of the runner's own
// when the runner ends the job or cannot start a step.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/error.h"

namespace furrow::runner {

// Opens the spool for writing, and makes a missing one with mode 0600; links are not followed. The caller owns the
// descriptor.
Result<int> OpenSpool(const std::string& path);

// Returns the spool's length, or 0 if the length cannot be read.
std::uint64_t SpoolBytes(int fd);
std::uint64_t SpoolBytes(const std::string& path);

// Returns at most the last `most` bytes of the spool; empty, too, if it cannot be read.
std::string SpoolTail(const std::string& path, std::size_t most);

// Cuts a spool that is longer than `bytes`. Returns whether the spool was longer.
bool CutSpool(int fd, std::uint64_t bytes);

// Appends "furrow: `message`" as a line of its own, with line breaks turned into spaces. A full disk loses the line;
// the outcome says the same.
void AppendFurrowLine(const std::string& path, std::string_view message);

}  // namespace furrow::runner
