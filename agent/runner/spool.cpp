#include "agent/runner/spool.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "agent/runner/log.h"

namespace furrow::runner {

Result<int> OpenSpool(const std::string& path) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600);
  if (fd < 0) return tl::unexpected(ErrnoError("cannot open the output file " + path, errno));
  return fd;
}

std::uint64_t SpoolBytes(int fd) {
  struct stat info {};
  return ::fstat(fd, &info) == 0 ? static_cast<std::uint64_t>(info.st_size) : 0;
}

std::uint64_t SpoolBytes(const std::string& path) {
  struct stat info {};
  return ::lstat(path.c_str(), &info) == 0 ? static_cast<std::uint64_t>(info.st_size) : 0;
}

std::string SpoolTail(const std::string& path, std::size_t most) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK);
  if (fd < 0) return {};
  const std::uint64_t size = SpoolBytes(fd);
  std::string tail(std::min<std::uint64_t>(most, size), '\0');
  const ssize_t got = ::pread(fd, tail.data(), tail.size(), static_cast<off_t>(size - tail.size()));
  ::close(fd);
  tail.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  return tail;
}

bool CutSpool(int fd, std::uint64_t bytes) {
  if (SpoolBytes(fd) <= bytes) return false;
  if (::ftruncate(fd, static_cast<off_t>(bytes)) != 0) Log(ErrnoError("cannot cut an output file", errno).message);
  return true;
}

void AppendFurrowLine(const std::string& path, std::string_view message) {
  const int fd = ::open(path.c_str(), O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, 0600);
  if (fd < 0) {
    Log(ErrnoError("cannot add a line to " + path, errno).message);
    return;
  }
  std::string line;
  const std::uint64_t size = SpoolBytes(fd);
  char last = '\n';
  if (size > 0 && ::pread(fd, &last, 1, static_cast<off_t>(size - 1)) == 1 && last != '\n') line += '\n';
  line += "furrow: ";
  for (const char c : message) line += c == '\n' || c == '\r' ? ' ' : c;
  line += '\n';
  if (::write(fd, line.data(), line.size()) != static_cast<ssize_t>(line.size()))
    Log(ErrnoError("cannot add a line to " + path, errno).message);
  ::close(fd);
}

}  // namespace furrow::runner
