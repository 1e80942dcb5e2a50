#include "agent/torch/whole_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <utility>

namespace furrow::steps {

Result<WholeFile> WholeFile::Create(const std::string& path) {
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
  const auto slash = path_.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : path_.substr(0, slash + 1);
  const int fd = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool synced = fd >= 0 && fsync(fd) == 0;
  const int number = errno;
  if (fd >= 0) close(fd);
  if (!synced) return tl::unexpected(ErrnoError(folder, number));
  return {};
}

}  // namespace furrow::steps
