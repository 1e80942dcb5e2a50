#include "common/base/file_io.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

namespace furrow {
namespace {

std::atomic<SyncFault> sync_fault{nullptr};

}  // namespace

void FileHandle::Close() {
  if (fd_ < 0) return;
  const int kept = errno;
  ::close(std::exchange(fd_, -1));
  errno = kept;
}

Status WriteAll(int fd, std::span<const std::byte> bytes, const std::string& what) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return tl::unexpected(ErrnoError("cannot write " + what, errno));
    }
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  return {};
}

Status WriteAllAt(int fd, std::span<const std::byte> bytes, std::uint64_t offset, const std::string& what) {
  while (!bytes.empty()) {
    const ssize_t written = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0) {
      if (errno == EINTR) continue;
      return tl::unexpected(ErrnoError("cannot write " + what, errno));
    }
    bytes = bytes.subspan(static_cast<std::size_t>(written));
    offset += static_cast<std::uint64_t>(written);
  }
  return {};
}

Status ReadAllAt(int fd, std::span<std::byte> out, std::uint64_t offset, const std::string& what) {
  while (!out.empty()) {
    const ssize_t got = ::pread(fd, out.data(), out.size(), static_cast<off_t>(offset));
    if (got < 0) {
      if (errno == EINTR) continue;
      return tl::unexpected(ErrnoError("cannot read " + what, errno));
    }
    if (got == 0)
      return Fail(Errc::kCorrupt, what + " ends at byte " + std::to_string(offset) + ", earlier than it should");
    out = out.subspan(static_cast<std::size_t>(got));
    offset += static_cast<std::uint64_t>(got);
  }
  return {};
}

Result<std::string> ReadFile(const std::string& path, std::size_t max_bytes) {
  const FileHandle file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) {
    if (errno == ENOENT) return Fail(Errc::kNotFound, "there is no file " + path);
    return tl::unexpected(ErrnoError("cannot open " + path, errno));
  }
  struct stat status {};
  if (::fstat(file.Get(), &status) != 0) return tl::unexpected(ErrnoError("cannot read " + path, errno));
  const std::uint64_t size = static_cast<std::uint64_t>(status.st_size);
  if (size > max_bytes) return Fail(Errc::kInvalid, path + " is larger than " + std::to_string(max_bytes) + " bytes");
  std::string bytes(size, '\0');
  FURROW_TRY(ReadAllAt(file.Get(), std::as_writable_bytes(std::span<char>(bytes)), 0, path));
  return bytes;
}

Status MakeFolders(const std::string& path) {
  for (std::size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
    const std::string part = path.substr(0, slash);
    const bool made = ::mkdir(part.c_str(), 0700) == 0;
    if (!made && errno != EEXIST) return tl::unexpected(ErrnoError("cannot make the folder " + part, errno));
    if (made) ::chmod(part.c_str(), 0700);  // The umask may take the owner's rights.
    if (slash == std::string::npos) return {};
  }
}

Status SyncFolder(const std::string& path) {
  const FileHandle folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder) return tl::unexpected(ErrnoError("cannot sync the folder " + path, errno));
  return SyncToDisk(folder.Get(), SyncKind::kFile, "the folder " + path);
}

void SetSyncFault(SyncFault fault) {
  sync_fault = fault;
}

Status SyncToDisk(int fd, SyncKind kind, const std::string& what) {
  const SyncFault fault = sync_fault.load(std::memory_order_relaxed);
  errno = fault != nullptr ? fault(fd, kind) : 0;
  bool synced = errno == 0;
  if (synced) {
    switch (kind) {
      case SyncKind::kFile: synced = ::fsync(fd) == 0; break;
      case SyncKind::kData: synced = ::fdatasync(fd) == 0; break;
      case SyncKind::kFileSystem: synced = ::syncfs(fd) == 0; break;
    }
  }
  if (!synced) return tl::unexpected(ErrnoError("cannot sync " + what, errno));
  return {};
}

}  // namespace furrow
