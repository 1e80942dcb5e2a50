// A DiskGuard watches how full the filesystem of a folder is, and keeps a ballast: a file that reserves space while
// there is enough, and is deleted when the disk fills, so that the farm can store acknowledged work and a person can
// still work. Every function is safe from every thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>

#include "common/base/error.h"

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
  // Watches the filesystem of `dir`, which must exist; creates `dir`/ballast if there is space for it. kInternal:
  // statvfs fails.
  static Result<std::unique_ptr<DiskGuard>> Open(const std::filesystem::path& dir, DiskGuardOptions options = {});

  // Sets the limit below which the health is kLow.
  void SetLow(std::uint64_t low_bytes);

  // Asks the filesystem (one statvfs, about a microsecond), drops the ballast when space runs out and creates the
  // ballast again when there is plenty. Returns the new health.
  DiskHealth Check();

  // Returns the result of the last Check; costs nothing.
  DiskHealth health() const { return health_.load(std::memory_order_relaxed); }

  // Handles a write that has just failed for lack of space. Returns true if dropping the ballast made space: the write
  // may be tried again at once.
  bool OnNoSpace();

  // Returns the bytes that this process may still write; 0 if statvfs fails.
  std::uint64_t FreeBytes() const;

 private:
  DiskGuard(std::filesystem::path ballast, DiskGuardOptions options);
  bool DropBallast();  // false: there was none
  void LayBallast();

  const std::filesystem::path ballast_;
  const DiskGuardOptions options_;
  std::atomic<std::uint64_t> low_bytes_;
  std::atomic<DiskHealth> health_{DiskHealth::kOk};
  std::mutex mutex_;  // guards the ballast
  bool laid_ = false;
};

// Returns "ok", "low" or "full".
const char* DiskHealthName(DiskHealth health);

}  // namespace furrow
