#include "common/chunks/direct_io.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <vector>

namespace furrow {
namespace {

constexpr std::size_t kStageBytes = 1 << 20;

// Returns this thread's aligned buffer, through which its bytes go to the disk.
std::byte* Stage() {
  thread_local std::vector<std::byte> room(kStageBytes + kDirectAlignment);
  void* stage = room.data();
  std::size_t space = room.size();
  return static_cast<std::byte*>(std::align(kDirectAlignment, kStageBytes, stage, space));
}

bool IsDirect(int fd) {
  const int flags = ::fcntl(fd, F_GETFL);
  return flags >= 0 && (flags & O_DIRECT) != 0;
}

std::size_t RoundUp(std::size_t bytes) {
  return (bytes + kDirectAlignment - 1) / kDirectAlignment * kDirectAlignment;
}

Status WriteCached(int fd, std::span<const std::byte> bytes, std::uint64_t offset, const std::string& what) {
  FURROW_TRY(WriteAllAt(fd, bytes, offset, what));
  (void)::sync_file_range(fd, static_cast<off_t>(offset), static_cast<off_t>(bytes.size()),
                          SYNC_FILE_RANGE_WRITE);  // a head start; the sync finds any error
  return {};
}

}  // namespace

FileHandle CreateDirect(int dir_fd, const std::string& name) {
  constexpr int kFlags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC;
  const int fd = ::openat(dir_fd, name.c_str(), kFlags | O_DIRECT, 0600);
  if (fd >= 0 || errno != EINVAL) return FileHandle(fd);
  ::unlinkat(dir_fd, name.c_str(), 0);  // a file system that refuses O_DIRECT may leave an empty file
  return FileHandle(::openat(dir_fd, name.c_str(), kFlags, 0600));
}

Status WriteDirect(int fd, std::span<const std::byte> bytes, std::uint64_t offset, const std::string& what) {
  if (!IsDirect(fd)) return WriteCached(fd, bytes, offset, what);
  std::byte* const stage = Stage();
  while (!bytes.empty()) {
    const std::size_t part = std::min(bytes.size(), kStageBytes);
    std::memcpy(stage, bytes.data(), part);
    std::memset(stage + part, 0, RoundUp(part) - part);
    const ssize_t written = ::pwrite(fd, stage, RoundUp(part), static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    // EINVAL says that the disk's blocks are larger than kDirectAlignment: the file takes no direct writes.
    if (written < 0 && errno == EINVAL) {
      StopDirect(fd);
      return WriteCached(fd, bytes, offset, what);
    }
    if (written < 0) return tl::unexpected(ErrnoError("cannot write " + what, errno));
    // A disk that has just become full writes a part: the next write, from the last whole block on, returns the reason.
    const std::size_t done = static_cast<std::size_t>(written) / kDirectAlignment * kDirectAlignment;
    bytes = bytes.subspan(std::min(done, bytes.size()));
    offset += done;
  }
  return {};
}

void StopDirect(int fd) {
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags >= 0) ::fcntl(fd, F_SETFL, flags & ~O_DIRECT);
}

}  // namespace furrow
