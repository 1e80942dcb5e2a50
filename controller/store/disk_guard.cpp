#include "controller/store/disk_guard.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <set>
#include <utility>

#include "common/base/log.h"

namespace furrow {

namespace {

FreeSpace FreeIn(const std::filesystem::path& folder) {
  return FreeSpaceOf(folder).value_or(FreeSpace{});
}

}  // namespace

Result<std::unique_ptr<DiskGuard>> DiskGuard::Open(const std::vector<std::filesystem::path>& folders,
                                                   DiskGuardOptions options) {
  std::vector<Disk> disks;
  std::set<dev_t> seen;
  for (const std::filesystem::path& folder : folders) {
    struct statvfs unused {};
    struct stat facts {};
    if (::statvfs(folder.c_str(), &unused) != 0 || ::stat(folder.c_str(), &facts) != 0)
      return tl::unexpected(ErrnoError("cannot ask how full " + folder.string() + " is", errno));
    if (!seen.insert(facts.st_dev).second) continue;
    Disk& disk = disks.emplace_back();
    disk.folder = folder;
    disk.ballast = folder / "ballast";
    struct stat file {};
    disk.laid = ::stat(disk.ballast.c_str(), &file) == 0;
  }
  std::unique_ptr<DiskGuard> guard(new DiskGuard(std::move(disks), options));
  guard->Check();
  return guard;
}

DiskGuard::DiskGuard(std::vector<Disk> disks, DiskGuardOptions options)
    : options_(options), low_bytes_(options.low_bytes), disks_(std::move(disks)) {}

const std::filesystem::path& DiskGuard::Fullest() const {
  const Disk* fullest = &disks_.front();
  std::uint64_t least = UINT64_MAX;
  for (const Disk& disk : disks_) {
    const std::uint64_t free = FreeIn(disk.folder).bytes;
    if (free < least) least = free, fullest = &disk;
  }
  return fullest->folder;
}

FreeSpace DiskGuard::Free() const {
  return FreeIn(Fullest());
}

void DiskGuard::SetLow(std::uint64_t low_bytes) {
  low_bytes_.store(low_bytes, std::memory_order_relaxed);
}

DiskHealth DiskGuard::Check() {
  std::lock_guard lock(mutex_);
  DiskHealth worst = DiskHealth::kOk;
  for (Disk& disk : disks_) worst = std::max(worst, CheckOne(disk));
  health_.store(worst, std::memory_order_relaxed);
  return worst;
}

DiskHealth DiskGuard::CheckOne(Disk& disk) {
  FreeSpace space = FreeIn(disk.folder);
  const std::uint64_t low = low_bytes_.load(std::memory_order_relaxed);
  const std::uint64_t full = std::min(options_.full_bytes, low / 2);
  if (space.bytes < full) {
    if (DropBallast(disk)) space = FreeIn(disk.folder);
  } else if (space.bytes >= low + 2 * options_.ballast_bytes) {
    LayBallast(disk);
  }
  DiskHealth now = DiskHealth::kOk;
  if (space.bytes < low) now = DiskHealth::kLow;
  if (space.bytes < full) now = DiskHealth::kFull;
  const DiskHealth before = std::exchange(disk.health, now);
  if (now > before) {
    log::Warning("the disk of {} is {}: {}; delete something, or give the farm a larger disk", disk.folder.string(),
                 now == DiskHealth::kFull ? "full" : "nearly full", InWords(space));
  } else if (now < before) {
    log::Info("the disk of {} has room again: {}", disk.folder.string(), InWords(space));
  }
  return now;
}

bool DiskGuard::OnNoSpace() {
  bool dropped = false;
  {
    std::lock_guard lock(mutex_);
    for (Disk& disk : disks_) dropped = DropBallast(disk) || dropped;
  }
  // A filesystem may refuse a write and still report a few free blocks, so only the refusal counts.
  const DiskHealth now = dropped ? Check() : DiskHealth::kFull;
  if (!dropped) health_.store(DiskHealth::kFull, std::memory_order_relaxed);
  return dropped && now != DiskHealth::kFull;
}

bool DiskGuard::DropBallast(Disk& disk) {
  return std::exchange(disk.laid, false) && ::unlink(disk.ballast.c_str()) == 0;
}

void DiskGuard::LayBallast(Disk& disk) const {
  if (disk.laid || options_.ballast_bytes == 0) return;
  const int fd = ::open(disk.ballast.c_str(), O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0600);
  // The next Check tries again, and the health stays correct meanwhile.
  if (fd < 0) return;
  disk.laid = ::posix_fallocate(fd, 0, static_cast<off_t>(options_.ballast_bytes)) == 0;
  ::close(fd);
  if (!disk.laid) ::unlink(disk.ballast.c_str());
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
