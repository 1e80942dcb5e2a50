// A DiskGuard watches how full the filesystems of some folders are, and keeps a ballast on each: a file that reserves
// space while there is enough, and is deleted when the disk fills, so that the farm can store acknowledged work and a
// person can still work. Every function is safe from every thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <vector>

#include "common/base/error.h"
#include "common/base/free_space.h"

namespace furrow {

enum class DiskHealth : std::uint8_t {
  kOk,
  kLow,   // The controller refuses new submissions and uploads; running work goes on.
  kFull,  // The controller refuses everything that would grow; commits wait for space.
};

struct DiskGuardOptions {
  std::uint64_t ballast_bytes = 64u << 20;  // 0: none
  std::uint64_t low_bytes = 256u << 20;     // fewer free bytes: kLow
  std::uint64_t full_bytes = 16u << 20;     // fewer free than this and half of low_bytes: kFull, ballast dropped
};

class DiskGuard {
 public:
  // Watches the filesystems of the folders, which must exist. Of several folders on one filesystem the first counts; it
  // gets the file `ballast` if there is space for it. kInternal: statvfs fails.
  static Result<std::unique_ptr<DiskGuard>> Open(const std::vector<std::filesystem::path>& folders,
                                                 DiskGuardOptions options = {});

  // Sets the limit below which the health is kLow.
  void SetLow(std::uint64_t low_bytes);

  // Asks each filesystem (one statvfs, about a microsecond), drops its ballast when space runs out and creates the
  // ballast again when there is plenty. Returns the new health, that of the worst.
  DiskHealth Check();

  // Returns the result of the last Check; costs nothing.
  DiskHealth health() const { return health_.load(std::memory_order_relaxed); }

  // Handles a write that has just failed for lack of space. Returns true if dropping the ballasts made space: the write
  // may be tried again at once.
  bool OnNoSpace();

  // Returns the free space where there is least; 0 bytes if statvfs fails.
  FreeSpace Free() const;
  // Returns the folder where there is least.
  const std::filesystem::path& Fullest() const;

 private:
  struct Disk {
    std::filesystem::path folder, ballast;
    bool laid = false;
    DiskHealth health = DiskHealth::kOk;
  };
  DiskGuard(std::vector<Disk> disks, DiskGuardOptions options);
  DiskHealth CheckOne(Disk& disk);
  static bool DropBallast(Disk& disk);  // false: there was none
  void LayBallast(Disk& disk) const;

  const DiskGuardOptions options_;
  std::atomic<std::uint64_t> low_bytes_;
  std::atomic<DiskHealth> health_{DiskHealth::kOk};
  std::mutex mutex_;         // guards the disks, but not which there are
  std::vector<Disk> disks_;  // at least one
};

// Returns "ok", "low" or "full".
const char* DiskHealthName(DiskHealth health);

}  // namespace furrow
