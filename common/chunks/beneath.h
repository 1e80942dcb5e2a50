// Reaches files beneath a folder by descriptor and follows no link on the way: no file that lies or appears in the
// folder can lead outside.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/base/error.h"
#include "common/base/file_io.h"

namespace furrow {

// Opens `path`, a valid tree path, beneath `root_fd`. No component may be a link. `flags` are those of open(2), without
// O_CREAT. kNotFound: there is no such file; kRejected: a link is on the way.
Result<FileHandle> OpenBeneath(int root_fd, const std::string& path, int flags);

// Walks through the folders of sorted paths and keeps the folders down to the last one open, so that each is opened
// once.
class FolderStack {
 public:
  // Borrows `root_fd`. With `create`, missing folders are made (0777 less umask).
  FolderStack(int root_fd, bool create) : root_fd_(root_fd), create_(create) {}

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
  std::vector<Level> levels_;
};

}  // namespace furrow
