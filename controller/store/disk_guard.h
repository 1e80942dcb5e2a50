// Watches how full the filesystem of a folder is, and keeps a ballast: a file that holds space back while
// all is well and is deleted when the disk fills, so that the farm can write down what it has acknowledged
// and a person can still work. Every function is safe from every thread.
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
  kLow,   // refuse new submissions; running work goes on
  kFull,  // refuse everything that would grow; commits wait for space
};

struct DiskGuardOptions {
  std::uint64_t ballast_bytes = 64u << 20;  // 0: none
  std::uint64_t low_bytes = 256u << 20;     // less free than this: kLow
  std::uint64_t full_bytes = 16u << 20;     // less than this and half of low_bytes: kFull, and the ballast goes
};

class DiskGuard {
 public:
  // Watches the filesystem of `dir`, which must exist; lays `dir`/ballast if there is room for it.
  // kInternal: the filesystem cannot be asked.
  static Result<std::unique_ptr<DiskGuard>> Open(const std::filesystem::path& dir, DiskGuardOptions options = {});

  // From now on less than `low_bytes` free is kLow.
  void SetLow(std::uint64_t low_bytes);

  // Asks the filesystem (one statvfs, about a microsecond), drops the ballast when space runs out and
  // lays it again when there is plenty. Returns the new health.
  DiskHealth Check();

  // What the last Check found; costs nothing.
  DiskHealth health() const { return health_.load(std::memory_order_relaxed); }

  // A write has just failed for lack of space. Returns true if dropping the ballast made room: try again at once.
  bool OnNoSpace();

  // Bytes that we may still write, as of now; 0 if the filesystem cannot be asked.
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

// "ok", "low", "full".
const char* DiskHealthName(DiskHealth health);

}  // namespace furrow
