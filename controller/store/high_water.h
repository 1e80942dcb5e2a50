// The high-water mark is the number of the newest acknowledged commit, kept beside the database. RocksDB's recovery
// stops silently at the first damaged record of its write-ahead log; if the recovered commit is older than this number,
// acknowledged turns are missing and the store refuses to open.
//
// The number is written after each commit without a sync, which survives the death of the process. Syncs are rare, so
// after a power cut the number may lag, and then guards only older commits. It never runs ahead.
#pragma once

#include <cstdint>
#include <filesystem>
#include <utility>

#include "common/base/error.h"

namespace furrow {

class HighWater {
 public:
  // Opens or creates `file`. kCorrupt: the file is damaged.
  static Result<HighWater> Open(const std::filesystem::path& file);
  HighWater(HighWater&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)), commit_(other.commit_), is_new_(other.is_new_) {}
  HighWater& operator=(HighWater&&) = delete;
  ~HighWater();

  std::uint64_t commit() const { return commit_; }  // 0: none was ever acknowledged
  bool is_new() const { return is_new_; }           // No store was ever opened with this file.

  // Notes that `commit` is durable. A failure is ignored: the mark lags, which is safe.
  void Raise(std::uint64_t commit);
  void Sync();

 private:
  explicit HighWater(int fd) : fd_(fd) {}
  int fd_;
  std::uint64_t commit_ = 0;
  bool is_new_ = false;
};

}  // namespace furrow
