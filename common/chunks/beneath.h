// Reaches files beneath a folder by descriptor and follows no link on the way: no file that lies or appears in the
// folder can lead outside.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/error.h"
#include "common/base/file_io.h"

namespace furrow {

// Opens `path`, a valid tree path, beneath `root_fd`. No component may be a link. `flags` are those of open(2), without
// O_CREAT. kNotFound: there is no such file; kRejected: a link is on the way.
Result<FileHandle> OpenBeneath(int root_fd, const std::string& path, int flags);

// Returns what a umask leaves of a mode, whose owner keeps everything.
constexpr mode_t ModeUnder(mode_t umask, mode_t mode) {
  return mode & ~(umask & 077);
}

// Walks through the folders of sorted paths and keeps the folders down to the last one open, so that each is opened
// once.
class FolderStack {
 public:
  // Borrows `root_fd`. With `create`, missing folders are made: ModeUnder(umask, 0777), or 0777 less the process's
  // umask.
  FolderStack(int root_fd, bool create, std::optional<mode_t> umask = std::nullopt)
      : root_fd_(root_fd), create_(create), umask_(umask) {}

  // Returns a descriptor of the folder at `path` ("" is the root), valid until the next call. kNotFound: there is no
  // such folder; kRejected: a link or a file is in the way.
  Result<int> Enter(std::string_view path);

 private:
  struct Level {
    std::string name;
    FileHandle folder;
  };

  const int root_fd_;
  const bool create_;
  const std::optional<mode_t> umask_;
  std::vector<Level> levels_;
};

}  // namespace furrow
