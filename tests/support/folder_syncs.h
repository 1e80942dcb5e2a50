// Watches which folders this process syncs, by taking the place of fsync and syncfs. The header defines both functions:
// one file of a test program includes it.
#pragma once

#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <mutex>
#include <set>
#include <string>
#include <utility>

namespace furrow::test {

class FolderSyncs {
 public:
  static FolderSyncs& Instance() {
    static FolderSyncs syncs;
    return syncs;
  }
  // Forgets what was synced so far.
  void Clear() {
    const std::lock_guard lock(mutex_);
    synced_.clear();
    all_ = 0;
  }
  void Fail(bool fail) {
    const std::lock_guard lock(mutex_);
    fail_ = fail;
  }
  // Returns whether the folder was synced, by itself or with its whole file system.
  bool Has(const std::string& folder) {
    struct stat status {};
    const std::lock_guard lock(mutex_);
    return ::stat(folder.c_str(), &status) == 0 && (all_ > 0 || synced_.contains({status.st_dev, status.st_ino}));
  }
  bool None() {
    const std::lock_guard lock(mutex_);
    return synced_.empty() && all_ == 0;
  }

  int Sync(int fd, long number) {
    {
      struct stat status {};
      const std::lock_guard lock(mutex_);
      if (::fstat(fd, &status) == 0 && (number == SYS_syncfs || S_ISDIR(status.st_mode))) {
        if (fail_) return errno = EIO, -1;
        if (number == SYS_syncfs) {
          ++all_;
        } else {
          synced_.insert({status.st_dev, status.st_ino});
        }
      }
    }
    return static_cast<int>(::syscall(number, fd));
  }

 private:
  std::mutex mutex_;
  std::set<std::pair<dev_t, ino_t>> synced_;
  int all_ = 0;
  bool fail_ = false;
};

}  // namespace furrow::test

extern "C" int fsync(int fd) {
  return furrow::test::FolderSyncs::Instance().Sync(fd, SYS_fsync);
}
extern "C" int syncfs(int fd) noexcept {
  return furrow::test::FolderSyncs::Instance().Sync(fd, SYS_syncfs);
}
