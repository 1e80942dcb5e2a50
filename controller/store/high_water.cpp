#include "controller/store/high_water.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "common/base/file_io.h"

namespace furrow {

// The file has 16 bytes: the number and its complement, in this machine's byte order.
Result<HighWater> HighWater::Open(const std::filesystem::path& file) {
  const int fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return tl::unexpected(ErrnoError("cannot open " + file.string(), errno));
  HighWater mark(fd);
  std::array<std::uint64_t, 2> stored{};
  const ssize_t got = ::pread(fd, stored.data(), sizeof(stored), 0);
  if (got < 0) return tl::unexpected(ErrnoError("cannot read " + file.string(), errno));
  if (got == 0) {
    FURROW_TRY(SyncFolder(file.parent_path().string()));
    mark.is_new_ = true;
    return mark;
  }
  if (stored[0] == 0 && stored[1] == 0) return mark;  // The bytes never reached the disk.
  if (got != sizeof(stored) || stored[0] != ~stored[1]) {
    return Fail(Errc::kCorrupt, file.string() +
                                    " is damaged: it cannot be told whether acknowledged work was lost. "
                                    "Delete it to go on with what the database holds");
  }
  mark.commit_ = stored[0];
  return mark;
}

HighWater::~HighWater() {
  if (fd_ < 0) return;
  Sync();
  ::close(fd_);
}

void HighWater::Raise(std::uint64_t commit) {
  const std::array<std::uint64_t, 2> stored{commit, ~commit};
  // The 16 bytes lie within one sector and one page, so they are never half written.
  if (::pwrite(fd_, stored.data(), sizeof(stored), 0) == sizeof(stored)) commit_ = commit;
}

void HighWater::Sync() {
  ::fdatasync(fd_);
}

}  // namespace furrow
