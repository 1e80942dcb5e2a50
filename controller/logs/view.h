// A view reads windows of a file of log frames by its index. The log store uses this header; views know nothing of
// stores.
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

// A LogPoint says where a frame begins. An index has one point for every 64 KiB of output or a little more.
struct LogPoint {
  std::uint64_t raw_offset = 0;
  std::uint64_t file_offset = 0;
  std::uint64_t line = 0;  // the newlines before the frame
  friend bool operator==(const LogPoint&, const LogPoint&) = default;
};

inline constexpr std::uint64_t kPointEveryBytes = 64 << 10;

// A LogView is a log at one moment. The bytes that a view covers never change.
struct LogView {
  int fd = -1;  // borrowed
  AttemptRef attempt;
  std::vector<LogPoint> points;  // The first point is the first frame; an empty log has no points.
  std::uint64_t raw_length = 0;
  std::uint64_t lines = 0;  // newlines
  bool sealed = false;
};

// These functions return the results of LogStore's Read functions. kCorrupt: a frame on the way is damaged.
Result<LogWindow> ReadWindow(const LogView& view, std::uint64_t offset, std::size_t max_bytes);
Result<LogWindow> ReadWindowFromLine(const LogView& view, std::uint64_t line, std::size_t max_bytes);
Result<LogWindow> ReadWindowAtEnd(const LogView& view, std::uint64_t lines, std::size_t max_bytes);

// Reads a whole frame, header and payload, at `file_offset` into `frame`. Fails with kCorrupt or kInternal.
Result<FrameHeader> ReadFrame(int fd, std::uint64_t file_offset, AttemptRef attempt, std::string& frame);

// Reads only the header. kCorrupt: the header is damaged or names another attempt.
Result<FrameHeader> ReadHeaderAt(int fd, std::uint64_t file_offset, AttemptRef attempt);

// A LogTrailer lies behind the last frame of a sealed log: the index, and a footer with the sealed length and hash.
struct LogTrailer {
  std::vector<LogPoint> points;
  std::uint64_t raw_length = 0;
  std::uint64_t lines = 0;
  Hash sha256;
};

std::string EncodeTrailer(const LogTrailer& trailer, std::uint64_t file_offset);

// Reads the trailer from the end of a file of `file_bytes` bytes. kNotFound: there is none (the log is not sealed, or
// the trailer is torn, which counts as not sealed).
Result<LogTrailer> ReadTrailer(int fd, std::uint64_t file_bytes);

}  // namespace furrow
