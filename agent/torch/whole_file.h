// A file that appears under its name whole or not at all.
#pragma once

#include <cstddef>
#include <string>

#include "common/base/error.h"

namespace furrow::steps {

// Written beside its name, then synced and renamed. Destroyed before Commit, it leaves nothing.
class WholeFile {
 public:
  // Opens the temporary file. Fails if the folder is not there or may not be written.
  static Result<WholeFile> Create(const std::string& path);
  WholeFile(WholeFile&& other) noexcept;
  WholeFile& operator=(WholeFile&&) = delete;
  ~WholeFile();

  // Appends; after the first failure it writes nothing more and Commit gives that failure.
  bool Write(const void* bytes, std::size_t size);

  // Syncs, renames over the name, syncs the folder.
  Status Commit();

 private:
  WholeFile(std::string path, std::string temporary, int fd);
  std::string path_;
  std::string temporary_;  // empty: committed or moved from
  int fd_;
  int failed_ = 0;  // errno of the first failure
};

}  // namespace furrow::steps
