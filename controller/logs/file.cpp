#include "controller/logs/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace furrow {
namespace {

// At most so many bytes are written without a sync. After a power cut any part of so much at the end of a file may be
// torn, so the recovery unpacks these frames and reads only headers before them.
constexpr std::uint64_t kMostUnsynced = 16 << 20;

}  // namespace

Result<std::shared_ptr<LogFile>> LogFile::Open(std::string path, RunId run, AttemptRef attempt, bool create,
                                               bool for_reading) {
  std::shared_ptr<LogFile> log(new LogFile(std::move(path), run, attempt));
  const int flags = (for_reading ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOFOLLOW | (create ? O_CREAT : 0);
  log->file_ = FileHandle(::open(log->path_.c_str(), flags, 0600));
  if (!log->file_) return tl::unexpected(ErrnoError("cannot open the log " + log->path_, errno));
  FURROW_TRY(log->Recover(for_reading));
  return log;
}

Status LogFile::Recover(bool for_reading) {
  struct stat status {};
  if (::fstat(file_.Get(), &status) != 0) return tl::unexpected(ErrnoError("cannot read " + path_, errno));
  const auto size = static_cast<std::uint64_t>(status.st_size);
  if (size == 0) return {};
  if (Result<LogTrailer> trailer = ReadTrailer(file_.Get(), size); trailer) {
    points_ = std::move(trailer->points);
    raw_length_ = trailer->raw_length;
    lines_ = trailer->lines;
    sealed_ = trailer->sha256;
    written_ = synced_ = size;
    return {};
  } else if (trailer.error().code != Errc::kNotFound) {
    return tl::unexpected(std::move(trailer).error());
  }

  FrameDecoder decoder;
  std::string frame;
  while (size - file_length_ >= kFrameHeaderBytes) {
    Result<FrameHeader> header = ReadHeaderAt(file_.Get(), file_length_, attempt_);
    if (!header && header.error().code != Errc::kCorrupt) return tl::unexpected(std::move(header).error());
    if (!header || header->raw_offset != raw_length_ || header->FrameBytes() > size - file_length_) break;
    if (size - file_length_ <= kMostUnsynced + kMaxFrameBytes) {
      FURROW_TRY(ReadFrame(file_.Get(), file_length_, attempt_, frame));
      if (!decoder.Decode(*header, AsBytes(frame))) break;
    }
    Count(*header);
  }
  if (!for_reading && file_length_ < size && ::ftruncate(file_.Get(), static_cast<off_t>(file_length_)) != 0)
    return tl::unexpected(ErrnoError("cannot cut the torn end off " + path_, errno));
  written_ = synced_ = file_length_;
  return {};
}

void LogFile::Count(const FrameHeader& header) {
  if (points_.empty() || raw_length_ - points_.back().raw_offset >= kPointEveryBytes)
    points_.push_back({raw_length_, file_length_, lines_});
  raw_length_ += header.raw_length;
  file_length_ += header.FrameBytes();
  lines_ += header.lines;
}

Result<std::uint64_t> LogFile::Append(const FrameHeader& header, std::span<const std::byte> frame,
                                      std::span<const std::byte> raw, FrameEncoder& encoder) {
  const std::uint64_t end = header.raw_offset + header.raw_length;
  if (end <= raw_length_) return raw_length_;
  if (sealed_) return Fail(Errc::kRejected, "the log " + path_ + " is sealed; it takes nothing more");
  if (header.raw_offset > raw_length_)
    return Fail(Errc::kRejected, "the log " + path_ + " has bytes up to " + std::to_string(raw_length_) +
                                     " and cannot go on at " + std::to_string(header.raw_offset) + "; send from " +
                                     std::to_string(raw_length_));
  FrameHeader added = header;
  std::string rest;
  if (header.raw_offset < raw_length_) {
    // An agent that started again may cut its frames at other offsets, so only the new part of this frame is kept.
    raw = raw.subspan(raw_length_ - header.raw_offset);
    added = encoder.Append(attempt_, raw_length_, raw, rest);
    frame = AsBytes(rest);
  }
  FURROW_TRY(Write(frame));
  if (hashed_ == raw_length_) {
    sha_.Update(raw);
    hashed_ = end;
  }
  const std::lock_guard lock(mutex_);
  Count(added);
  return raw_length_;
}

// Writes at the end of the frames; on an error nothing of the bytes stays.
Status LogFile::Write(std::span<const std::byte> bytes) {
  FURROW_TRY(failed_);
  if (Status written = WriteAllAt(file_.Get(), bytes, file_length_, path_); !written) {
    (void)::ftruncate(file_.Get(), static_cast<off_t>(file_length_));
    return written;
  }
  unsynced_ += bytes.size();
  written_ = file_length_ + bytes.size();
  return unsynced_ > kMostUnsynced ? Sync() : Status();
}

Status LogFile::Sync() {
  FURROW_TRY(failed_);
  const Status synced = SyncToDisk(file_.Get(), SyncKind::kData, path_);
  synced ? Synced() : GiveUp(synced.error());
  return synced;
}

void LogFile::Synced() {
  unsynced_ = 0;
  synced_ = written_;
}

void LogFile::GiveUp(const Error& error) {
  if (!failed_) return;
  failed_ = tl::unexpected(error);
  (void)::ftruncate(file_.Get(), static_cast<off_t>(synced_));
}

// Hashes the bytes that an earlier process received, and the bytes behind them.
Status LogFile::HashRest() {
  LogPoint at;
  if (!points_.empty()) {
    const auto behind = std::partition_point(points_.begin(), points_.end(),
                                             [&](const LogPoint& point) { return point.raw_offset <= hashed_; });
    at = *std::prev(behind);
  }
  FrameDecoder decoder;
  std::string frame;
  while (hashed_ < raw_length_) {
    FURROW_ASSIGN(const FrameHeader header, ReadFrame(file_.Get(), at.file_offset, attempt_, frame));
    FURROW_ASSIGN(const std::span<const std::byte> raw, decoder.Decode(header, AsBytes(frame)));
    if (header.raw_offset >= hashed_) {
      sha_.Update(raw);
      hashed_ += header.raw_length;
    }
    at.file_offset += header.FrameBytes();
  }
  return {};
}

Status LogFile::Seal(std::uint64_t raw_length, const Hash& sha256) {
  if (sealed_) {
    if (raw_length == raw_length_ && *sealed_ == sha256) return {};
    return Fail(Errc::kRejected, "the log " + path_ + " is sealed with other content");
  }
  if (raw_length > raw_length_)
    return Fail(Errc::kUnavailable, "the log " + path_ + " has " + std::to_string(raw_length_) + " of " +
                                        std::to_string(raw_length) + " bytes; send the rest, then seal it");
  if (raw_length < raw_length_)
    return Fail(Errc::kCorrupt, "the log " + path_ + " has " + std::to_string(raw_length_) + " bytes, more than the " +
                                    std::to_string(raw_length) + " that the agent wrote");
  FURROW_TRY(HashRest());
  if (sha_.Digest() != sha256)
    return Fail(Errc::kCorrupt, "the log " + path_ + " has other bytes than the agent wrote (SHA-256 differs)");
  const std::string trailer = EncodeTrailer({points_, raw_length_, lines_, sha256}, file_length_);
  FURROW_TRY(Write(AsBytes(trailer)));
  const std::lock_guard lock(mutex_);
  sealed_ = sha256;
  return {};
}

LogView LogFile::View() const {
  const std::lock_guard lock(mutex_);
  return {file_.Get(), attempt_, points_, raw_length_, lines_, sealed_.has_value()};
}

}  // namespace furrow
