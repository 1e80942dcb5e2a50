#include "controller/store/disk_guard.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "common/base/log.h"

namespace furrow {

Result<std::unique_ptr<DiskGuard>> DiskGuard::Open(const std::filesystem::path& dir, DiskGuardOptions options) {
  struct statvfs unused {};
  if (::statvfs(dir.c_str(), &unused) != 0)
    return tl::unexpected(ErrnoError("cannot ask how full " + dir.string() + " is", errno));
  std::unique_ptr<DiskGuard> guard(new DiskGuard(dir / "ballast", options));
  struct stat file {};
  guard->laid_ = ::stat(guard->ballast_.c_str(), &file) == 0;
  guard->Check();
  return guard;
}

DiskGuard::DiskGuard(std::filesystem::path ballast, DiskGuardOptions options)
    : ballast_(std::move(ballast)), options_(options), low_bytes_(options.low_bytes) {}

std::uint64_t DiskGuard::FreeBytes() const {
  struct statvfs facts {};
  if (::statvfs(ballast_.parent_path().c_str(), &facts) != 0) return 0;
  // Root could use the reserved blocks, too, but they are for the administrator, not for the controller.
  return static_cast<std::uint64_t>(facts.f_bavail) * facts.f_frsize;
}

void DiskGuard::SetLow(std::uint64_t low_bytes) {
  low_bytes_.store(low_bytes, std::memory_order_relaxed);
}

DiskHealth DiskGuard::Check() {
  std::uint64_t free = FreeBytes();
  const std::uint64_t low = low_bytes_.load(std::memory_order_relaxed);
  const std::uint64_t full = std::min(options_.full_bytes, low / 2);
  if (free < full) {
    if (DropBallast()) free = FreeBytes();
  } else if (free >= low + 2 * options_.ballast_bytes) {
    LayBallast();
  }
  DiskHealth now = DiskHealth::kOk;
  if (free < low) now = DiskHealth::kLow;
  if (free < full) now = DiskHealth::kFull;
  const DiskHealth before = health_.exchange(now, std::memory_order_relaxed);
  if (now > before) {
    log::Warning("the disk of {} is {}: {} MiB free; delete something, or give the farm a larger disk",
                 ballast_.parent_path().string(), now == DiskHealth::kFull ? "full" : "nearly full", free >> 20);
  } else if (now < before) {
    log::Info("the disk of {} has room again: {} MiB free", ballast_.parent_path().string(), free >> 20);
  }
  return now;
}

bool DiskGuard::OnNoSpace() {
  const bool dropped = DropBallast();
  // A filesystem may refuse a write and still report a few free blocks, so only the refusal counts.
  const DiskHealth now = dropped ? Check() : DiskHealth::kFull;
  if (!dropped) health_.store(DiskHealth::kFull, std::memory_order_relaxed);
  return dropped && now != DiskHealth::kFull;
}

bool DiskGuard::DropBallast() {
  std::lock_guard lock(mutex_);
  if (!laid_) return false;
  laid_ = false;
  return ::unlink(ballast_.c_str()) == 0;
}

void DiskGuard::LayBallast() {
  std::lock_guard lock(mutex_);
  if (laid_ || options_.ballast_bytes == 0) return;
  const int fd = ::open(ballast_.c_str(), O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0600);
  // The next Check tries again, and the health stays correct meanwhile.
  if (fd < 0) return;
  laid_ = ::posix_fallocate(fd, 0, static_cast<off_t>(options_.ballast_bytes)) == 0;
  ::close(fd);
  if (!laid_) ::unlink(ballast_.c_str());
}

const char* DiskHealthName(DiskHealth health) {
  switch (health) {
    case DiskHealth::kOk: return "ok";
    case DiskHealth::kLow: return "low";
    case DiskHealth::kFull: return "full";
  }
  return "unknown";
}

}  // namespace furrow
