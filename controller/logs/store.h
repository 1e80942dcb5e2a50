// The log store keeps the controller's logs: append-only files of frames (common/logs/frames.h), one file for each
// attempt that streams, and packs for the many attempts whose whole log is small. controller/STORE.md, "Log files",
// describes the bytes.
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

// A LogRef says where a log lies (records.h keeps the part that is not known otherwise). The LogRef of a streamed log
// is known beforehand: {run, attempt}.
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
  std::string_view bytes;  // 1 … kSmallLogBytes bytes; borrowed for the call
};

struct LogProgress {
  RunId run{};
  AttemptRef attempt;
  std::uint64_t durable_bytes = 0;  // raw bytes that a power cut cannot lose any more
  bool sealed = false;
};

struct LogWindow {
  std::uint64_t offset = 0;      // the raw offset of the first byte
  std::uint64_t first_line = 0;  // the number, from 0, of the line that the first byte is in
  std::string bytes;             // The bytes may end within a line.
  std::uint64_t log_bytes = 0;   // the raw length of the whole log now
  std::uint64_t log_lines = 0;   // the newlines in the whole log now
  bool sealed = false;
};

// Any thread may call the Read functions at any time; they see every byte appended, durable or not. All other functions
// belong to one thread. A second store on the same folder may append small logs while the first takes streamed ones.
class LogStore {
 public:
  // Opens or creates the store in folder `root`. Open reads no log: each one is recovered at its first use.
  static Result<std::unique_ptr<LogStore>> Open(const std::string& root);
  ~LogStore();

  // Appends one whole, verified frame, unchanged, to the streamed log of its attempt. Returns the raw length received,
  // where the next frame must begin. A frame (or its front part) that is there already changes nothing. kRejected:
  // there is a gap (the message names the expected offset; Length returns it) or the log is sealed; kCorrupt: the frame
  // is damaged; kUnavailable: the disk is full, and nothing of the frame is kept.
  Result<std::uint64_t> Append(RunId run, std::span<const std::byte> frame);

  // Returns the raw bytes received of a streamed log, where the agent continues; 0 for an unknown log. After a restart
  // Length recovers the file: a torn end behind the last whole frame is cut off.
  Result<std::uint64_t> Length(RunId run, AttemptRef attempt);

  // Makes everything appended and sealed so far durable; returns each streamed log that moved since the last Sync.
  // After an error nothing more may be acknowledged from this store: the controller must stop and start again from the
  // bytes on disk. The error is final where streamed logs had moved; small logs may be appended again, to other packs.
  Result<std::vector<LogProgress>> Sync();

  // Ends a streamed log, if it has exactly `raw_length` bytes with this SHA-256, and writes its index; durable with the
  // next Sync. Sealing again with the same values changes nothing. kUnavailable: bytes are missing; kCorrupt: the bytes
  // differ from the agent's (the caller must Discard the log and get it again); kRejected: the log is sealed with other
  // values. An empty log has no file.
  Result<LogRef> Seal(RunId run, AttemptRef attempt, std::uint64_t raw_length, const Hash& sha256);

  // Forgets an unsealed streamed log and removes its file. kRejected: the log is sealed.
  Status Discard(RunId run, AttemptRef attempt);

  // Writes whole small logs, those of a run with one write; durable with the next Sync. Returns one location for each,
  // in order. On an error none of the logs counts.
  Result<std::vector<LogRef>> AppendSmall(std::span<const SmallLogView> logs);

  // Reads up to `max_bytes` from raw offset `offset`; at the end of the log `bytes` is empty. kNotFound: there is no
  // such log.
  Result<LogWindow> ReadRange(const LogRef& where, std::uint64_t offset, std::size_t max_bytes);
  // Reads from the beginning of line `line` (from 0).
  Result<LogWindow> ReadFromLine(const LogRef& where, std::uint64_t line, std::size_t max_bytes);
  // Reads from the beginning of the last `lines` lines.
  Result<LogWindow> ReadTail(const LogRef& where, std::uint64_t lines, std::size_t max_bytes);

  // Removes all logs of a run; current readers get errors.
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

  // A Reading is a log that is ready to be read, and the handles that keep the log open.
  struct Reading {
    std::shared_ptr<LogFile> file;
    FileHandle pack;
    LogView view;
  };

  std::string FolderOf(RunId run) const;
  Status MakeFolder(RunId run);
  Status SyncDisk();
  void GiveUp(const Error& error);
  // Returns the log's file, opened and recovered if needed. kNotFound unless `create`.
  Result<std::shared_ptr<LogFile>> FileOf(RunId run, AttemptRef attempt, bool create);
  void MarkMoved(const std::shared_ptr<LogFile>& file);
  Result<Reading> ReadingOf(const LogRef& where);

  const std::string root_;
  FileHandle root_fd_;
  std::mutex mutex_;  // Guards the map only; a LogFile guards itself.
  std::unordered_map<Key, std::shared_ptr<LogFile>, KeyHash> files_;
  std::vector<std::shared_ptr<LogFile>> moved_;        // files that moved since the last Sync
  std::unordered_set<std::uint64_t> changed_folders_;  // runs with a new or removed file that is not durable yet
  std::unordered_set<std::uint64_t> known_folders_;    // runs whose folder this store has made or found
  bool root_changed_ = false;                          // The root has a new folder that is not durable yet.
  Status failed_;                                      // the Sync that failed for streamed logs
  std::unique_ptr<LogPacks> packs_;
  FrameDecoder decoder_;
  FrameEncoder encoder_;
};

}  // namespace furrow
