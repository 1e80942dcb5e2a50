#include "controller/logs/view.h"

#include <algorithm>
#include <cstring>

#include "common/base/file_io.h"
#include "common/base/hash.h"
#include "controller/logs/store.h"

namespace furrow {
namespace {

std::span<std::byte> Writable(std::string& text) {
  return std::as_writable_bytes(std::span<char>(text));
}

// A FrameWalk goes through the frames of a view, beginning at the last point for which `before(point)` holds.
class FrameWalk {
 public:
  template <class Before>
  FrameWalk(const LogView& view, Before before) : view_(view) {
    const auto behind = std::partition_point(view.points.begin(), view.points.end(), before);
    if (behind == view.points.begin()) return;
    at_ = *std::prev(behind);
  }

  // Returns whether the walk is at the end of the log.
  bool Done() const { return at_.raw_offset >= view_.raw_length; }
  const LogPoint& At() const { return at_; }

  Result<FrameHeader> Header() const {
    FURROW_ASSIGN(const FrameHeader header, ReadHeaderAt(view_.fd, at_.file_offset, view_.attempt));
    if (header.raw_offset != at_.raw_offset) return Fail(Errc::kCorrupt, "log frame: it is not where the index says");
    return header;
  }

  // Returns the raw bytes of the current frame, valid until the next call.
  Result<std::span<const std::byte>> Content(const FrameHeader& header) {
    frame_.resize(header.FrameBytes());
    FURROW_TRY(ReadAllAt(view_.fd, Writable(frame_), at_.file_offset, "a log"));
    return decoder_.Decode(header, AsBytes(frame_));
  }

  void Next(const FrameHeader& header) {
    at_.raw_offset += header.raw_length;
    at_.file_offset += header.FrameBytes();
    at_.line += header.lines;
  }

 private:
  const LogView& view_;
  LogPoint at_;
  std::string frame_;
  FrameDecoder decoder_;
};

// Returns the raw offset at which line `line` begins, or the log's end if there are fewer lines.
Result<std::uint64_t> OffsetOfLine(const LogView& view, std::uint64_t line) {
  if (line == 0) return 0;
  if (line > view.lines) return view.raw_length;
  // The newline that ends line `line` - 1 is in the first frame by whose end `line` newlines have passed.
  FrameWalk walk(view, [&](const LogPoint& point) { return point.line < line; });
  while (!walk.Done()) {
    FURROW_ASSIGN(const FrameHeader header, walk.Header());
    if (walk.At().line + header.lines < line) {
      walk.Next(header);
      continue;
    }
    FURROW_ASSIGN(const std::span<const std::byte> raw, walk.Content(header));
    std::uint64_t seen = walk.At().line;
    for (std::size_t i = 0; i < raw.size(); ++i)
      if (raw[i] == std::byte{'\n'} && ++seen == line) return walk.At().raw_offset + i + 1;
    break;
  }
  return Fail(Errc::kCorrupt, "log: its line index is wrong");
}

}  // namespace

Result<FrameHeader> ReadHeaderAt(int fd, std::uint64_t file_offset, AttemptRef attempt) {
  std::byte bytes[kFrameHeaderBytes];
  FURROW_TRY(ReadAllAt(fd, bytes, file_offset, "a log"));
  FURROW_ASSIGN(const FrameHeader header, ReadFrameHeader(bytes));
  if (header.attempt != attempt) return Fail(Errc::kCorrupt, "log frame: it belongs to another attempt");
  return header;
}

Result<FrameHeader> ReadFrame(int fd, std::uint64_t file_offset, AttemptRef attempt, std::string& frame) {
  FURROW_ASSIGN(const FrameHeader header, ReadHeaderAt(fd, file_offset, attempt));
  frame.resize(header.FrameBytes());
  FURROW_TRY(ReadAllAt(fd, Writable(frame), file_offset, "a log"));
  return header;
}

Result<LogWindow> ReadWindow(const LogView& view, std::uint64_t offset, std::size_t max_bytes) {
  LogWindow window;
  window.offset = std::min(offset, view.raw_length);
  window.first_line = view.lines;
  window.log_bytes = view.raw_length;
  window.log_lines = view.lines;
  window.sealed = view.sealed;
  const std::uint64_t end = window.offset + std::min<std::uint64_t>(max_bytes, view.raw_length - window.offset);
  if (window.offset == view.raw_length) return window;
  window.bytes.reserve(end - window.offset);
  FrameWalk walk(view, [&](const LogPoint& point) { return point.raw_offset <= window.offset; });
  bool started = false;
  while (!walk.Done() && (walk.At().raw_offset < end || !started)) {
    FURROW_ASSIGN(const FrameHeader header, walk.Header());
    if (header.raw_offset + header.raw_length > window.offset) {
      FURROW_ASSIGN(const std::span<const std::byte> raw, walk.Content(header));
      const std::uint64_t from = std::max(window.offset, header.raw_offset) - header.raw_offset;
      const std::uint64_t to = std::max(from, std::min<std::uint64_t>(end - header.raw_offset, raw.size()));
      if (!started) window.first_line = walk.At().line + CountLines(raw.first(from));
      started = true;
      window.bytes += AsText(raw.subspan(from, to - from));
    }
    walk.Next(header);
  }
  return window;
}

Result<LogWindow> ReadWindowFromLine(const LogView& view, std::uint64_t line, std::size_t max_bytes) {
  FURROW_ASSIGN(const std::uint64_t offset, OffsetOfLine(view, line));
  return ReadWindow(view, offset, max_bytes);
}

Result<LogWindow> ReadWindowAtEnd(const LogView& view, std::uint64_t lines, std::size_t max_bytes) {
  std::uint64_t all = view.lines;
  if (view.raw_length > 0) {
    FURROW_ASSIGN(const LogWindow last, ReadWindow(view, view.raw_length - 1, 1));
    if (last.bytes != "\n") ++all;  // A last line without a newline counts.
  }
  if (lines == 0) return ReadWindow(view, view.raw_length, 0);
  FURROW_ASSIGN(const std::uint64_t offset, OffsetOfLine(view, all > lines ? all - lines : 0));
  return ReadWindow(view, offset, max_bytes);
}

}  // namespace furrow
