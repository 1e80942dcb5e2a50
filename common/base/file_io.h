// A few system calls with the loops and the errors that they always need.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include "common/base/error.h"

namespace furrow {

// Owns a file descriptor; -1 is none.
class FileHandle {
 public:
  FileHandle() = default;
  explicit FileHandle(int fd) : fd_(fd) {}
  ~FileHandle() { Close(); }
  FileHandle(FileHandle&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  FileHandle& operator=(FileHandle&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }

  int Get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  int Release() { return std::exchange(fd_, -1); }
  void Close();  // keeps errno

 private:
  int fd_ = -1;
};

// Each names `what` (a path, mostly) in its error.
Status WriteAll(int fd, std::span<const std::byte> bytes, const std::string& what);
Status WriteAllAt(int fd, std::span<const std::byte> bytes, std::uint64_t offset, const std::string& what);
// Fills `out` wholly. kCorrupt: the file ends before.
Status ReadAllAt(int fd, std::span<std::byte> out, std::uint64_t offset, const std::string& what);
// The whole file; kNotFound if there is none; kInvalid if it is larger than `max_bytes`.
Result<std::string> ReadFile(const std::string& path, std::size_t max_bytes);

// Makes a folder and those above it, for their owner alone whatever the umask; one that exists is fine.
Status MakeFolders(const std::string& path);
// Makes the entries of a folder survive a power cut.
Status SyncFolder(const std::string& path);

enum class SyncKind : std::uint8_t {
  kFile,        // fsync
  kData,        // fdatasync
  kFileSystem,  // syncfs: everything on the file system
};
// Makes what was written survive a power cut. After an error the kernel may have dropped what was not on the disk yet,
// and a later success says nothing of it: the caller gives the file up, or reports the write as failed for good.
Status SyncToDisk(int fd, SyncKind kind, const std::string& what);
// Lets a test fail syncs: `fault` is asked before each one, and returns the errno that it fails with, or 0. Null: none
// fails.
using SyncFault = int (*)(int fd, SyncKind kind);
void SetSyncFault(SyncFault fault);

}  // namespace furrow
