#include "common/chunks/beneath.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "common/chunks/tree_path.h"

namespace furrow {
namespace {

constexpr int kFolderFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

Error PathError(std::string_view path, int number) {
  // A link or a file stands where a folder should be: neither error is "not found".
  if (number == ELOOP || number == ENOTDIR)
    return {Errc::kRejected, "a link or a file is in the way of " + QuotePath(path)};
  return ErrnoError("cannot open " + QuotePath(path), number);
}

}  // namespace

Result<FileHandle> OpenBeneath(int root_fd, const std::string& path, int flags) {
  struct open_how how {};
  how.flags = static_cast<std::uint64_t>(flags | O_CLOEXEC | O_NOFOLLOW);
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  while (true) {
    const long fd = ::syscall(SYS_openat2, root_fd, path.c_str(), &how, sizeof(how));
    if (fd >= 0) return FileHandle(static_cast<int>(fd));
    // EAGAIN says that a rename happened meanwhile, and the kernel cannot tell whether the path would lead outside.
    if (errno != EINTR && errno != EAGAIN) break;
  }
  // An old kernel, or a container whose seccomp rules do not know the call, lacks openat2.
  if (errno != ENOSYS && errno != EPERM) return tl::unexpected(PathError(path, errno));
  FolderStack folders(root_fd, false);
  FURROW_ASSIGN(const int folder, folders.Enter(ParentPath(path)));
  FileHandle file(::openat(folder, std::string(LastName(path)).c_str(), flags | O_CLOEXEC | O_NOFOLLOW));
  if (!file) return tl::unexpected(PathError(path, errno));
  return file;
}

Result<int> FolderStack::Enter(std::string_view path) {
  std::vector<std::string_view> parts;
  if (!path.empty()) parts = SplitPath(path);
  std::size_t same = 0;
  while (same < parts.size() && same < levels_.size() && levels_[same].name == parts[same]) ++same;
  while (levels_.size() > same) levels_.pop_back();
  for (std::size_t i = same; i < parts.size(); ++i) {
    const int above = levels_.empty() ? root_fd_ : levels_.back().folder.Get();
    Level level{std::string(parts[i]), FileHandle()};
    const bool made = create_ && ::mkdirat(above, level.name.c_str(), 0777) == 0;
    if (create_ && !made && errno != EEXIST)
      return tl::unexpected(ErrnoError("cannot make the folder " + QuotePath(path), errno));
    level.folder = FileHandle(::openat(above, level.name.c_str(), kFolderFlags));
    if (!level.folder) return tl::unexpected(PathError(path, errno));
    if (made && umask_ && ::fchmod(level.folder.Get(), ModeUnder(*umask_, 0777)) != 0)
      return tl::unexpected(ErrnoError("cannot set the mode of " + QuotePath(path), errno));
    levels_.push_back(std::move(level));
  }
  return levels_.empty() ? root_fd_ : levels_.back().folder.Get();
}

}  // namespace furrow
