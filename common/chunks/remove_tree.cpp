#include "common/chunks/remove_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/file_io.h"
#include "common/chunks/tree_path.h"

namespace furrow {
namespace {

constexpr int kFolderFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
// A folder so deep is moved up to the root before it is emptied, so that neither descriptors nor time depend on depth.
constexpr std::size_t kMaxOpen = 32;
constexpr std::size_t kMostOpen = 256;  // where a folder cannot be moved
constexpr int kPasses = 16;             // looks at a folder into which something still writes
constexpr int kMounts = 16;             // mounts on top of each other

using Folder = std::unique_ptr<DIR, int (*)(DIR*)>;

std::string ProcPath(int fd) {
  return "/proc/self/fd/" + std::to_string(fd);
}

// Clears the flags that forbid changes, as `chattr -ia` does. Returns whether there were any and they are cleared.
bool ClearFlags(int fd) {
  int flags = 0;
  if (::ioctl(fd, FS_IOC_GETFLAGS, &flags) != 0 || (flags & (FS_IMMUTABLE_FL | FS_APPEND_FL)) == 0) return false;
  flags &= ~(FS_IMMUTABLE_FL | FS_APPEND_FL);
  return ::ioctl(fd, FS_IOC_SETFLAGS, &flags) == 0;
}

// Takes what is mounted on `name` off again. Returns whether there was something, and it is gone.
bool Unmount(int dir_fd, const char* name) {
  const std::string path = ProcPath(dir_fd) + "/" + name;
  int unmounted = 0;
  while (unmounted < kMounts && ::umount2(path.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0) ++unmounted;
  return unmounted > 0;
}

bool IsFolder(int dir_fd, const char* name) {
  struct stat status {};
  return ::fstatat(dir_fd, name, &status, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) == 0 && S_ISDIR(status.st_mode);
}

// Opens the folder `name`, but not what is mounted there: errno is EXDEV.
int OpenInMount(int dir_fd, const char* name) {
  struct open_how how {};
  how.flags = static_cast<std::uint64_t>(kFolderFlags);
  how.resolve = RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  long fd = 0;
  do {
    fd = ::syscall(SYS_openat2, dir_fd, name, &how, sizeof(how));
  } while (fd < 0 && (errno == EINTR || errno == EAGAIN));
  if (fd >= 0 || (errno != ENOSYS && errno != EPERM)) return static_cast<int>(fd);
  // An old kernel, or a container whose seccomp rules do not know the call, lacks openat2.
  FileHandle folder(::openat(dir_fd, name, kFolderFlags));
  struct stat here {
  }, there{};
  if (!folder || ::fstat(dir_fd, &here) != 0 || ::fstat(folder.Get(), &there) != 0) return -1;
  if (here.st_dev == there.st_dev) return folder.Release();
  errno = EXDEV;
  return -1;
}

// Lets the owner list and change a folder that may not even be opened. A link is not followed.
bool MakeAccessible(int dir_fd, const char* name) {
  const FileHandle folder(::openat(dir_fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  return folder && ::chmod(ProcPath(folder.Get()).c_str(), 0700) == 0;
}

// Unlinks an entry, with all that it takes. On failure errno says why.
bool UnlinkAnyhow(int dir_fd, const char* name, int flags) {
  if (::unlinkat(dir_fd, name, flags) == 0 || errno == ENOENT) return true;
  const int number = errno;
  bool again = false;
  if (number == EBUSY) again = Unmount(dir_fd, name);
  if (number == EPERM) {  // The entry or its folder may be immutable.
    const FileHandle entry(::openat(dir_fd, name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC));
    const bool entry_freed = entry && ClearFlags(entry.Get());
    again = ClearFlags(dir_fd) || entry_freed;
  }
  if (again) return ::unlinkat(dir_fd, name, flags) == 0 || errno == ENOENT;
  errno = number;
  return false;
}

// Opens the folder `name` to empty it. On failure errno says why.
FileHandle OpenToEmpty(int dir_fd, const char* name) {
  for (int tries = 0;; ++tries) {
    FileHandle folder(OpenInMount(dir_fd, name));
    if (folder) return folder;
    const int number = errno;
    const bool opened =
        (number == EXDEV && Unmount(dir_fd, name)) || (number == EACCES && MakeAccessible(dir_fd, name));
    if (opened && tries < 2) continue;
    errno = number;
    return folder;
  }
}

Error CannotRemove(std::string_view path, int number) {
  Error error = ErrnoError("cannot remove " + QuotePath(path), number);
  if (number == EBUSY || number == EXDEV) error.message += " (something is mounted there)";
  if (number == ENOTEMPTY) error.message += " (something still writes there)";
  return error;
}

// Empties one folder, its root.
class Remover {
 public:
  explicit Remover(int root_fd) : root_fd_(root_fd) {}

  Status Run() {
    struct stat status {};
    if (::fstat(root_fd_, &status) == 0 && (status.st_mode & 0700) != 0700) (void)::fchmod(root_fd_, 0700);
    for (int pass = 0; pass < kPasses && failures_ == 0; ++pass) {
      const std::uint64_t before = removed_;
      if (Push(FileHandle(::openat(root_fd_, ".", kFolderFlags)), "")) Walk();
      for (; taken_ < moved_; ++taken_) {
        Remove(root_fd_, MovedName(taken_).c_str());
        Walk();
      }
      if (removed_ == before) return Result();  // Nothing was left, or nothing of it could be removed.
    }
    if (failures_ == 0) Failed("", ENOTEMPTY);
    return Result();
  }

 private:
  struct Level {
    Folder folder;
    std::string name;  // empty: the root
    int passes = 0;
    std::size_t failures = 0;  // the number of failures before this level
  };

  static std::string MovedName(std::uint64_t number) { return ".furrow-removes-" + std::to_string(number); }

  bool Push(FileHandle fd, std::string name) {
    struct stat status {};
    if (fd && ::fstat(fd.Get(), &status) == 0 && (status.st_mode & 0700) != 0700) (void)::fchmod(fd.Get(), 0700);
    Folder folder(fd ? ::fdopendir(fd.Get()) : nullptr, &::closedir);
    if (folder == nullptr) {
      Failed(name, errno);
      return false;
    }
    fd.Release();
    levels_.push_back({std::move(folder), std::move(name), 0, failures_});
    return true;
  }

  // Empties and removes the open levels; the root is only emptied.
  void Walk() {
    while (!levels_.empty()) {
      DIR* const folder = levels_.back().folder.get();
      errno = 0;
      if (const dirent* entry = ::readdir(folder)) {
        const std::string_view name(entry->d_name);
        if (name != "." && name != "..") Remove(::dirfd(folder), entry->d_name);
        continue;
      }
      if (errno != 0) Failed("", errno);
      Leave();
    }
  }

  // Removes the folder of the innermost level, which has been read to its end.
  void Leave() {
    Level& level = levels_.back();
    if (level.name.empty()) return levels_.pop_back();
    const int above = levels_.size() > 1 ? ::dirfd(levels_[levels_.size() - 2].folder.get()) : root_fd_;
    const bool gone = Unlink(above, level.name.c_str(), AT_REMOVEDIR);
    const int number = errno;
    const bool clean = failures_ == level.failures;
    // Some file systems skip entries while others are removed, and a process may still write here.
    if (!gone && number == ENOTEMPTY && clean && ++level.passes < kPasses) return ::rewinddir(level.folder.get());
    const std::string name = std::move(level.name);
    levels_.pop_back();
    if (!gone && clean) Failed(name, number);
  }

  // Removes an entry of an open folder, or opens it as the next level.
  void Remove(int dir_fd, const char* name) {
    if (Unlink(dir_fd, name, 0)) return;
    const int number = errno;
    const bool folder = number == EISDIR || ((number == EPERM || number == EACCES) && IsFolder(dir_fd, name));
    if (!folder) return Failed(name, number);
    if (levels_.size() >= kMaxOpen && MoveUp(dir_fd, name)) return;
    if (levels_.size() >= kMostOpen) return Failed(name, ENAMETOOLONG);
    FileHandle fd = OpenToEmpty(dir_fd, name);
    if (fd || errno != ENOENT) Push(std::move(fd), name);
  }

  bool Unlink(int dir_fd, const char* name, int flags) {
    const bool gone = UnlinkAnyhow(dir_fd, name, flags);
    removed_ += gone ? 1 : 0;
    return gone;
  }

  // Moves a folder to the root; false: it cannot be moved.
  bool MoveUp(int dir_fd, const char* name) {
    for (bool opened = false;;) {
      if (::renameat2(dir_fd, name, root_fd_, MovedName(moved_).c_str(), RENAME_NOREPLACE) == 0) break;
      if (errno == EEXIST) {
        ++moved_;
      } else if (errno != EACCES || std::exchange(opened, true) || !MakeAccessible(dir_fd, name)) {
        return false;  // To move a folder is to change its link to the folder above.
      }
    }
    ++moved_;
    return true;
  }

  void Failed(std::string_view name, int number) {
    if (++failures_ > 1) return;
    std::string path;
    for (const Level& level : levels_)
      if (!level.name.empty()) path += level.name + "/";
    first_ = CannotRemove(path + std::string(name), number);
  }

  Status Result() const {
    if (failures_ == 0) return {};
    Error error = first_;
    if (failures_ > 1) error.message += "; and " + std::to_string(failures_ - 1) + " more";
    return tl::unexpected(std::move(error));
  }

  const int root_fd_;
  std::vector<Level> levels_;
  std::uint64_t removed_ = 0;  // counts entries
  std::uint64_t moved_ = 0;    // the number of the next folder that is moved up to the root
  std::uint64_t taken_ = 0;    // the number of the next moved folder that is removed
  std::size_t failures_ = 0;
  Error first_;
};

// Holds the folder of a path and the path's last name.
struct Place {
  FileHandle folder;
  std::string name;
};

Place PlaceOf(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  const std::size_t slash = path.rfind('/');
  const std::string above = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  return {FileHandle(::open(above.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)), path.substr(slash + 1)};
}

}  // namespace

Status RemoveBeneath(int dir_fd) {
  return Remover(dir_fd).Run();
}

Status EmptyFolder(const std::string& path) {
  const Place place = PlaceOf(path);
  const FileHandle folder = place.folder ? OpenToEmpty(place.folder.Get(), place.name.c_str()) : FileHandle();
  if (!folder) return tl::unexpected(ErrnoError("cannot open " + path, errno));
  if (Status emptied = RemoveBeneath(folder.Get()); !emptied)
    return tl::unexpected(Annotate(std::move(emptied).error(), path));
  for (const char* list : {"system.posix_acl_default", "system.posix_acl_access"})
    (void)::fremovexattr(folder.Get(), list);
  struct stat status {};
  if (::fstat(folder.Get(), &status) != 0 ||
      (status.st_uid != ::geteuid() && ::fchown(folder.Get(), ::geteuid(), ::getegid()) != 0) ||
      ((status.st_mode & 07777) != 0700 && ::fchmod(folder.Get(), 0700) != 0))
    return tl::unexpected(ErrnoError("cannot take back the folder " + path, errno));
  return {};
}

Status RemovePath(const std::string& path) {
  const Place place = PlaceOf(path);
  if (!place.folder) return errno == ENOENT ? Status() : Status(tl::unexpected(CannotRemove(path, errno)));
  if (UnlinkAnyhow(place.folder.Get(), place.name.c_str(), 0)) return {};
  const int number = errno;
  if (!IsFolder(place.folder.Get(), place.name.c_str())) return tl::unexpected(CannotRemove(path, number));
  const FileHandle folder = OpenToEmpty(place.folder.Get(), place.name.c_str());
  if (!folder) return tl::unexpected(CannotRemove(path, errno));
  if (Status emptied = RemoveBeneath(folder.Get()); !emptied)
    return tl::unexpected(Annotate(std::move(emptied).error(), path));
  if (UnlinkAnyhow(place.folder.Get(), place.name.c_str(), AT_REMOVEDIR)) return {};
  return tl::unexpected(CannotRemove(path, errno));
}

}  // namespace furrow
