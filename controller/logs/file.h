// A LogFile is the file of one streamed log. Only the log store (store.cpp) uses this header.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/base/error.h"
#include "common/base/file_io.h"
#include "common/base/hash.h"
#include "common/base/ids.h"
#include "common/logs/frames.h"
#include "controller/logs/store.h"
#include "controller/logs/view.h"

namespace furrow {

// Any thread may call View; everything else belongs to the store's writing thread.
class LogFile {
 public:
  // Opens the file at `path` and recovers it: whole frames from the front count, and the bytes behind them are cut off
  // (`for_reading`: left and ignored). kNotFound unless `create`.
  static Result<std::shared_ptr<LogFile>> Open(std::string path, RunId run, AttemptRef attempt, bool create,
                                               bool for_reading);

  // Does what LogStore::Append describes. Cuts partly known frames with `encoder`.
  Result<std::uint64_t> Append(const FrameHeader& header, std::span<const std::byte> frame,
                               std::span<const std::byte> raw, FrameEncoder& encoder);

  // Does what LogStore::Seal describes. Reads the log back unless all of it has passed through Append since the file
  // was opened.
  Status Seal(std::uint64_t raw_length, const Hash& sha256);

  // Syncs the file with fdatasync. A failure is final: what was not synced before is cut off, so that the next process
  // finds nothing that it could take for durable, and every later Sync, Append and Seal fails.
  Status Sync();
  // Notes that everything written was synced otherwise.
  void Synced();
  // Notes that a sync of everything failed, with the consequences of a Sync that fails.
  void GiveUp(const Error& error);
  const Status& failure() const { return failed_; }

  LogView View() const;
  LogProgress Progress() const { return {run_, attempt_, raw_length_, sealed_.has_value()}; }
  std::uint64_t Length() const { return raw_length_; }
  const std::string& Path() const { return path_; }
  RunId Run() const { return run_; }
  AttemptRef Attempt() const { return attempt_; }

  bool moved = false;  // The store has the file in its list for the next Sync.

 private:
  LogFile(std::string path, RunId run, AttemptRef attempt) : path_(std::move(path)), run_(run), attempt_(attempt) {}
  Status Recover(bool for_reading);
  Status Write(std::span<const std::byte> bytes);
  void Count(const FrameHeader& header);
  Status HashRest();

  const std::string path_;
  const RunId run_;
  const AttemptRef attempt_;
  FileHandle file_;
  mutable std::mutex mutex_;  // guards points_ to sealed_, which View reads
  std::vector<LogPoint> points_;
  std::uint64_t raw_length_ = 0;
  std::uint64_t file_length_ = 0;  // the length of all frames
  std::uint64_t lines_ = 0;
  std::optional<Hash> sealed_;
  Sha256 sha_;
  std::uint64_t hashed_ = 0;  // the raw bytes that sha_ has hashed
  std::uint64_t unsynced_ = 0;
  std::uint64_t written_ = 0;  // the length of the file, with the trailer
  std::uint64_t synced_ = 0;   // the part of it that is known to be durable
  Status failed_;              // the sync that failed
};

}  // namespace furrow
