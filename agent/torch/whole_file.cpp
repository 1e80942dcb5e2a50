#include "agent/torch/whole_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <utility>

namespace furrow::steps {

namespace {

// Returns "FOLDER/" of "FOLDER/NAME", "./" of "NAME".
std::string FolderOf(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? "./" : path.substr(0, slash + 1);
}

std::string RealPath(const std::string& path) {
  const std::unique_ptr<char, void (*)(void*)> real(realpath(path.c_str(), nullptr), std::free);
  return real ? real.get() : path;
}

Status CheckPlace(const std::string& path) {
  const auto refuse = [&](const std::string& words) { return Fail(Errc::kInvalid, path + ": " + words); };
  if (path.empty() || path.ends_with('/')) return refuse("is the name of a folder; name a file in it");
  const std::string folder = FolderOf(path);
  struct stat info {};
  if (stat(folder.c_str(), &info) != 0) {
    const int number = errno;
    return tl::unexpected(ErrnoError(path + ": its folder " + folder, number));
  }
  const std::string real = RealPath(folder) + "/";
  const bool memory = real.starts_with("/dev/shm/");  // a folder for files like any other
  if ((real.starts_with("/dev/") && !memory) || real.starts_with("/proc/") || real.starts_with("/sys/")) {
    return refuse("lies in " + RealPath(folder) + ", which is no place for files; name a file in the workspace");
  }
  if (stat(path.c_str(), &info) != 0) return {};  // a new file, or a link that leads nowhere
  if (S_ISDIR(info.st_mode)) return refuse("is a folder; name a file in it");
  if (!S_ISREG(info.st_mode)) {
    const char* what = S_ISFIFO(info.st_mode) ? "a pipe" : S_ISSOCK(info.st_mode) ? "a socket" : "a device";
    return refuse(std::string("is ") + what + ", which a file would replace; name a file");
  }
  struct statx more {};
  if (statx(AT_FDCWD, path.c_str(), AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &more) != 0) return {};
  if ((more.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0) return refuse("is a mount; name another file");
  if ((more.stx_attributes & (STATX_ATTR_IMMUTABLE | STATX_ATTR_APPEND)) != 0) {
    return refuse("may not be replaced (lsattr shows it as immutable or append-only); name another file");
  }
  return {};
}

}  // namespace

Result<WholeFile> WholeFile::Create(const std::string& path) {
  FURROW_TRY(CheckPlace(path));
  const std::string temporary = path + ".part." + std::to_string(getpid());
  const int fd = open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) return tl::unexpected(ErrnoError(path, errno));
  return WholeFile(path, temporary, fd);
}

WholeFile::WholeFile(std::string path, std::string temporary, int fd)
    : path_(std::move(path)), temporary_(std::move(temporary)), fd_(fd) {}

WholeFile::WholeFile(WholeFile&& other) noexcept
    : path_(std::move(other.path_)),
      temporary_(std::exchange(other.temporary_, {})),
      fd_(std::exchange(other.fd_, -1)),
      failed_(other.failed_) {}

WholeFile::~WholeFile() {
  if (fd_ >= 0) close(fd_);
  if (!temporary_.empty()) unlink(temporary_.c_str());
}

bool WholeFile::Write(const void* bytes, std::size_t size) {
  const char* at = static_cast<const char*>(bytes);
  while (failed_ == 0 && size > 0) {
    const ssize_t written = write(fd_, at, size);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      failed_ = errno;
      break;
    }
    at += written;
    size -= static_cast<std::size_t>(written);
  }
  return failed_ == 0;
}

Status WholeFile::Commit() {
  if (failed_ == 0 && fsync(fd_) != 0) failed_ = errno;
  if (failed_ == 0 && rename(temporary_.c_str(), path_.c_str()) != 0) failed_ = errno;
  if (failed_ != 0) return tl::unexpected(ErrnoError(path_ + " was not written", failed_));
  temporary_.clear();
  const std::string folder = FolderOf(path_);
  const int fd = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool synced = fd >= 0 && fsync(fd) == 0;
  const int number = errno;
  if (fd >= 0) close(fd);
  if (!synced) return tl::unexpected(ErrnoError(folder, number));
  return {};
}

}  // namespace furrow::steps
