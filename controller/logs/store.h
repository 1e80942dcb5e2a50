// The controller's logs: append-only files of frames (common/logs/frames.h), one file for each attempt that streams,
// and packs for the many attempts whose whole log is small. controller/STORE.md, "Log files", has the bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "common/base/error.h"
#include "common/base/file_io.h"
#include "common/base/ids.h"
#include "common/logs/frames.h"
#include "controller/logs/view.h"

namespace furrow {

class LogFile;
class LogPacks;

// Where a log lies (records.h keeps what of this is not known otherwise). For a streamed log this is known beforehand:
// {run, attempt}.
struct LogRef {
  RunId run{};
  AttemptRef attempt;
  std::uint32_t pack = 0;         // 0: a file of its own; N: pack-N.flog
  std::uint64_t file_offset = 0;  // packs only: where the frame begins
  friend bool operator==(const LogRef&, const LogRef&) = default;
};

struct SmallLogView {
  RunId run{};
  AttemptRef attempt;
  std::string_view bytes;  // 1 … kSmallLogBytes; borrowed for the call
};

struct LogProgress {
  RunId run{};
  AttemptRef attempt;
  std::uint64_t durable_bytes = 0;  // raw bytes that a power cut cannot take any more
  bool sealed = false;
};

struct LogWindow {
  std::uint64_t offset = 0;      // raw offset of the first byte
  std::uint64_t first_line = 0;  // number, from 0, of the line that the first byte is in
  std::string bytes;             // may end within a line
  std::uint64_t log_bytes = 0;   // raw length of the whole log now
  std::uint64_t log_lines = 0;   // newlines in the whole log now
  bool sealed = false;
};

// The Read functions may be called from any thread at any time and see every byte appended, durable or not; all others
// belong to one thread. A second store on the same folder may append small logs while the first takes streamed ones.
class LogStore {
 public:
  // Opens or creates the store in folder `root`. Reads no log: one is recovered when first touched.
  static Result<std::unique_ptr<LogStore>> Open(const std::string& root);
  ~LogStore();

  // Appends one whole frame, verified, unchanged, to the streamed log of its attempt. Returns the raw length received,
  // from where the next frame must go on. A frame (or the front part of one) that is there already changes nothing.
  // kRejected: a gap (the message names the offset expected; ask Length) or sealed; kCorrupt: the frame is damaged;
  // kUnavailable: disk full, nothing of the frame is kept.
  Result<std::uint64_t> Append(RunId run, std::span<const std::byte> frame);

  // Raw bytes received of a streamed log, from where the agent goes on; 0 if nothing is known of it. After a restart
  // this recovers the file: a torn tail is cut behind the last whole frame.
  Result<std::uint64_t> Length(RunId run, AttemptRef attempt);

  // Makes everything appended and sealed so far durable; returns each streamed log that moved since the last Sync. On
  // an error nothing more may be acknowledged from this store: stop, and start again from what is on disk.
  Result<std::vector<LogProgress>> Sync();

  // Ends a streamed log, if it has exactly `raw_length` bytes with this SHA-256, and writes its index; durable with the
  // next Sync. Sealing again with the same values changes nothing. kUnavailable: bytes are missing; kCorrupt: other
  // bytes than the agent had (Discard, then let it send again); kRejected: sealed otherwise. An empty log has no file.
  Result<LogRef> Seal(RunId run, AttemptRef attempt, std::uint64_t raw_length, const Hash& sha256);

  // Forgets an unsealed streamed log and removes its file. kRejected: sealed.
  Status Discard(RunId run, AttemptRef attempt);

  // Writes whole small logs, those of a run with one write; durable with the next Sync. One location for each, in
  // order. On an error none of them counts.
  Result<std::vector<LogRef>> AppendSmall(std::span<const SmallLogView> logs);

  // Up to `max_bytes` from raw offset `offset`; empty bytes at the end of the log. kNotFound: no such log.
  Result<LogWindow> ReadRange(const LogRef& where, std::uint64_t offset, std::size_t max_bytes);
  // From the beginning of line `line` (from 0).
  Result<LogWindow> ReadFromLine(const LogRef& where, std::uint64_t line, std::size_t max_bytes);
  // The last `lines` lines, or as much of their end as fits in `max_bytes`.
  Result<LogWindow> ReadTail(const LogRef& where, std::uint64_t lines, std::size_t max_bytes);

  // Removes all logs of a run; readers that are at it get errors.
  Status RemoveRun(RunId run);

 private:
  explicit LogStore(std::string root);
  struct Key {
    RunId run;
    AttemptRef attempt;
    friend bool operator==(const Key&, const Key&) = default;
  };
  struct KeyHash {
    std::size_t operator()(const Key& key) const noexcept {
      return std::hash<AttemptRef>()(key.attempt) ^ static_cast<std::size_t>(Raw(key.run) * 0xC2B2AE3D27D4EB4FULL);
    }
  };

  // A log made ready to be read, with what keeps it open.
  struct Reading {
    std::shared_ptr<LogFile> file;
    FileHandle pack;
    LogView view;
  };

  std::string FolderOf(RunId run) const;
  Status MakeFolder(RunId run);
  // The log's file, opened and recovered if need be. kNotFound unless `create`.
  Result<std::shared_ptr<LogFile>> FileOf(RunId run, AttemptRef attempt, bool create);
  void MarkMoved(const std::shared_ptr<LogFile>& file);
  Status SyncDisk();
  Result<Reading> ReadingOf(const LogRef& where);

  const std::string root_;
  FileHandle root_fd_;
  std::mutex mutex_;  // guards the map only; a LogFile guards itself
  std::unordered_map<Key, std::shared_ptr<LogFile>, KeyHash> files_;
  std::vector<std::shared_ptr<LogFile>> moved_;        // since the last Sync
  std::unordered_set<std::uint64_t> changed_folders_;  // runs with a new or removed file, not yet durable
  std::unordered_set<std::uint64_t> known_folders_;    // runs whose folder this store has looked for
  bool root_changed_ = false;                          // likewise the root
  std::unique_ptr<LogPacks> packs_;
  FrameDecoder decoder_;
  FrameEncoder encoder_;
};

}  // namespace furrow
