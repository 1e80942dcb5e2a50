#include "common/base/replace_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <span>

#include "common/base/file_io.h"

namespace furrow {
namespace {

std::string FolderOf(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

Result<std::string> WriteBeside(const std::string& path, std::string_view bytes, mode_t mode, Durability durability) {
  std::string name = path + ".XXXXXX";
  const FileHandle file(::mkostemp(name.data(), O_CLOEXEC));
  if (!file) return tl::unexpected(ErrnoError("cannot make a file beside " + path, errno));
  Status written = WriteAll(file.Get(), std::as_bytes(std::span(bytes)), path);
  const bool sync = durability == Durability::kSynced;
  if (written && ::fchmod(file.Get(), mode) != 0) written = tl::unexpected(ErrnoError("cannot write " + path, errno));
  if (written && sync) written = SyncToDisk(file.Get(), SyncKind::kFile, path);
  if (written) return name;
  ::unlink(name.c_str());
  return tl::unexpected(written.error());
}

Status ReplaceFile(const std::string& path, std::string_view bytes, mode_t mode, Durability durability) {
  FURROW_ASSIGN(const std::string fresh, WriteBeside(path, bytes, mode, durability));
  if (::rename(fresh.c_str(), path.c_str()) != 0) {
    const int number = errno;
    ::unlink(fresh.c_str());
    return tl::unexpected(ErrnoError("cannot replace " + path, number));
  }
  return durability == Durability::kSynced ? SyncFolder(FolderOf(path)) : Status{};
}

}  // namespace furrow
