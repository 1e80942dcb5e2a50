// The files of RocksDB, with two habits of our own. For the store alone.
//
// A full disk is waited out: RocksDB 7.8.3 takes ENOSPC badly (on the write-ahead log it ends the process),
// so it never hears of it. A write that finds no room drops the ballast, then waits and repeats itself at
// the same offset, until somebody has made room or GiveUp was called.
//
// The write-ahead log is filled with zeros ahead of small appends. An fdatasync within a file's length needs
// no journal commit: 93 µs where a growing file took 177 (ext4, virtual disk). Zeros at the end of a log read
// as its end.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>

#include <rocksdb/file_system.h>

#include "controller/store/disk_guard.h"

namespace furrow {

// Shared by all files of one store.
class SpaceWaiter {
 public:
  explicit SpaceWaiter(DiskGuard& guard) : guard_(guard) {}

  // Runs `attempt` again and again while it reports that there is no space. Blocks the caller meanwhile.
  template <class Attempt>
  rocksdb::IOStatus UntilThereIsRoom(Attempt attempt) {
    for (;;) {
      rocksdb::IOStatus status = attempt();
      if (!status.IsNoSpace() || !MayTryAgain()) return status;
    }
  }

  // From now on an operation that finds no space fails. For the end of the store.
  void GiveUp();

 private:
  bool MayTryAgain();  // waits; false: given up

  DiskGuard& guard_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool given_up_ = false;
};

class StoreFiles final : public rocksdb::FileSystemWrapper {
 public:
  StoreFiles(const std::shared_ptr<rocksdb::FileSystem>& base, SpaceWaiter& waiter)
      : FileSystemWrapper(base), waiter_(waiter) {}

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
};

}  // namespace furrow
