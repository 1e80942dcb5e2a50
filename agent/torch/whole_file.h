// Writes a file that appears under its name whole or not at all.
#pragma once

#include <cstddef>
#include <string>

#include "common/base/error.h"

namespace furrow::steps {

// Writes a temporary file beside the final name; Commit syncs and renames the file. The destructor removes a file
// without Commit.
class WholeFile {
 public:
  // Opens the temporary file. Fails if the folder is missing or not writable, or if the name is that of something that
  // no file may replace: a folder, a device, a pipe, a mount, a name in /dev, /proc or /sys.
  static Result<WholeFile> Create(const std::string& path);
  WholeFile(WholeFile&& other) noexcept;
  WholeFile& operator=(WholeFile&&) = delete;
  ~WholeFile();

  // Appends bytes. After the first failure Write writes nothing more, and Commit returns the failure.
  bool Write(const void* bytes, std::size_t size);

  // Syncs the file, renames it to its final name and syncs the folder.
  Status Commit();

 private:
  WholeFile(std::string path, std::string temporary, int fd);
  std::string path_;
  std::string temporary_;  // path of the temporary file; empty: committed or moved from
  int fd_;
  int failed_ = 0;  // errno of the first failure
};

}  // namespace furrow::steps
