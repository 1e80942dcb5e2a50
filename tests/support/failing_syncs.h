// Fails syncs as a disk with an I/O error does, while it lives.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <climits>
#include <string>

#include "common/base/file_io.h"

namespace furrow {

class FailingSyncs {
 public:
  // The syncs of files and folders whose path ends with `ending` fail; "" is all of them.
  explicit FailingSyncs(std::string ending = "") {
    ending_ = std::move(ending);
    failed_ = 0;
    SetSyncFault(&Fault);
  }
  ~FailingSyncs() { SetSyncFault(nullptr); }
  FailingSyncs(const FailingSyncs&) = delete;
  FailingSyncs& operator=(const FailingSyncs&) = delete;

  int failed() const { return failed_; }

 private:
  static int Fault(int fd, SyncKind) {
    char path[PATH_MAX];
    const std::string link = "/proc/self/fd/" + std::to_string(fd);
    const ssize_t length = ::readlink(link.c_str(), path, sizeof(path));
    if (length < 0 || !std::string(path, static_cast<std::size_t>(length)).ends_with(ending_)) return 0;
    ++failed_;
    return EIO;
  }

  static inline std::string ending_;
  static inline std::atomic<int> failed_ = 0;
};

}  // namespace furrow
