// The high-water mark is what the database has to hold at least, kept beside it: the number of the newest acknowledged
// commit, and how long the MANIFEST, RocksDB's list of its files, has been. RocksDB's recovery stops silently at the
// first damaged record of its write-ahead log, and takes a MANIFEST that is cut for one that ends there, deleting the
// files that the rest named. If the database has less than the mark, acknowledged turns are missing and the store
// refuses to open.
//
// The mark is written after each commit without a sync, which survives the death of the process. Syncs are rare, so
// after a power cut the mark may lag, and then guards only older commits. It never runs ahead.
#pragma once

#include <array>
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
      : fd_(std::exchange(other.fd_, -1)),
        commit_(other.commit_),
        manifests_(other.manifests_),
        is_new_(other.is_new_) {}
  HighWater& operator=(HighWater&&) = delete;
  ~HighWater();

  std::uint64_t commit() const { return commit_; }  // 0: none was ever acknowledged
  bool is_new() const { return is_new_; }           // No store was ever opened with this file.
  // Returns how long the MANIFEST of this number is at least. 0: it is not known.
  std::uint64_t ManifestLength(std::uint64_t number) const;

  // Note what is durable. A failure is ignored: the mark lags, which is safe. One thread at a time may raise the
  // commit, and one the length of a MANIFEST.
  void Raise(std::uint64_t commit);
  void RaiseManifest(std::uint64_t number, std::uint64_t length);
  void Sync();

 private:
  struct Manifest {
    std::uint64_t number, length, check;
  };

  explicit HighWater(int fd) : fd_(fd) {}
  int fd_;
  std::uint64_t commit_ = 0;
  std::array<Manifest, 2> manifests_{};  // The newer one counts once CURRENT names it.
  bool is_new_ = false;
};

}  // namespace furrow
