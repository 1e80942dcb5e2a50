// Reads windows out of a file of log frames by its index. Used by logs.cpp; knows nothing of stores.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "common/base/error.h"
#include "common/base/ids.h"
#include "common/logs/frames.h"

namespace furrow {

struct LogWindow;

// Where a frame begins. An index has one at every 64 KiB of output or a little more.
struct LogPoint {
  std::uint64_t raw_offset = 0;
  std::uint64_t file_offset = 0;
  std::uint64_t line = 0;  // newlines before the frame
  friend bool operator==(const LogPoint&, const LogPoint&) = default;
};

inline constexpr std::uint64_t kPointEveryBytes = 64 << 10;

// A log as it is at one moment. What it covers of the file never changes.
struct LogView {
  int fd = -1;  // borrowed
  AttemptRef attempt;
  std::vector<LogPoint> points;  // the first is the first frame; empty for an empty log
  std::uint64_t raw_length = 0;
  std::uint64_t lines = 0;  // newlines
  bool sealed = false;
};

// What LogStore's Read functions of these names return. kCorrupt: a frame on the way is damaged.
Result<LogWindow> ReadWindow(const LogView& view, std::uint64_t offset, std::size_t max_bytes);
Result<LogWindow> ReadWindowFromLine(const LogView& view, std::uint64_t line, std::size_t max_bytes);
Result<LogWindow> ReadWindowAtEnd(const LogView& view, std::uint64_t lines, std::size_t max_bytes);

// Reads a whole frame at `file_offset`, header and payload, into `frame`. kCorrupt, kInternal.
Result<FrameHeader> ReadFrame(int fd, std::uint64_t file_offset, AttemptRef attempt, std::string& frame);

// Only the header. kCorrupt also for a frame of another attempt.
Result<FrameHeader> ReadHeaderAt(int fd, std::uint64_t file_offset, AttemptRef attempt);

// What is behind the last frame of a sealed log: the index, and a footer that says what was sealed.
struct LogTrailer {
  std::vector<LogPoint> points;
  std::uint64_t raw_length = 0;
  std::uint64_t lines = 0;
  Hash sha256;
};

std::string EncodeTrailer(const LogTrailer& trailer, std::uint64_t file_offset);

// Reads the trailer from the end of a file of `file_bytes` bytes. kNotFound: there is none (the log is not sealed, or
// the trailer is torn, which is the same).
Result<LogTrailer> ReadTrailer(int fd, std::uint64_t file_bytes);

}  // namespace furrow
