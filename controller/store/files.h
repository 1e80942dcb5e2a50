// These classes change how RocksDB writes its files in three ways. Only the store uses this header.
//
// Writes wait while the disk is full. RocksDB 7.8.3 takes ENOSPC badly (on the write-ahead log it ends the process), so
// RocksDB never sees the error. A write that finds no space drops the ballast, then waits and repeats itself at the
// same offset, until there is space or GiveUp was called.
//
// The write-ahead log is filled with zeros ahead of small appends. An fdatasync within a file's length needs no journal
// commit: it takes 93 µs where a growing file takes 177 (ext4, virtual disk). RocksDB reads zeros at the end of a log
// as its end.
//
// Of a MANIFEST it is told how long it is on the disk, since RocksDB does not notice when one is cut.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include <rocksdb/file_system.h>

#include "controller/store/disk_guard.h"

namespace furrow {

// All files of one store share one SpaceWaiter.
class SpaceWaiter {
 public:
  explicit SpaceWaiter(DiskGuard& guard) : guard_(guard) {}

  // Runs `attempt` again and again while it reports that there is no space. Blocks the caller meanwhile.
  template <class Attempt>
  rocksdb::IOStatus UntilThereIsRoom(Attempt attempt) {
    for (;;) {
      rocksdb::IOStatus status = attempt();
      if (!status.IsNoSpace() || !MayTryAgain("the database: " + status.ToString())) return status;
    }
  }

  // Returns true when an operation that found no space may be tried again; blocks the caller meanwhile, and says `why`
  // it waits in the log now and then. False after GiveUp.
  bool MayTryAgain(const std::string& why);

  // Makes every later operation that finds no space fail. The destructor of the store calls GiveUp.
  void GiveUp();

 private:
  DiskGuard& guard_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool given_up_ = false;
  std::chrono::steady_clock::time_point said_;  // when the log last said that the database waits
};

class StoreFiles final : public rocksdb::FileSystemWrapper {
 public:
  // Is told, after each sync of a MANIFEST, its number and its length. RocksDB syncs one at a time.
  using OnManifest = std::function<void(std::uint64_t number, std::uint64_t length)>;

  StoreFiles(const std::shared_ptr<rocksdb::FileSystem>& base, SpaceWaiter& waiter, OnManifest on_manifest)
      : FileSystemWrapper(base), waiter_(waiter), on_manifest_(std::move(on_manifest)) {}

  const char* Name() const override { return "FurrowStoreFiles"; }
  rocksdb::IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* result,
                                    rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus CreateDirIfMissing(const std::string& name, const rocksdb::IOOptions& options,
                                       rocksdb::IODebugContext* debug) override;
  rocksdb::IOStatus RenameFile(const std::string& from, const std::string& to, const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* debug) override;

 private:
  SpaceWaiter& waiter_;
  const OnManifest on_manifest_;
};

// Returns the number of a MANIFEST by its name or path. 0: it is none.
std::uint64_t ManifestNumber(std::string_view name);

}  // namespace furrow
