#include "agent/runner/socket.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace furrow::runner {
namespace {

constexpr int kBacklog = 16;

sockaddr_un AddressOf(const std::string& path) {  // The path is always short: see ConnectSocket.
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
  return address;
}

}  // namespace

Result<int> ConnectSocket(const std::string& state_dir) {
  const std::string where = state_dir + "/" + kSocketName;
  const int folder = ::open(state_dir.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0 && errno == ENOENT)
    return Fail(Errc::kUnavailable, "no furrow-runner serves " + state_dir + ": no such folder");
  if (folder < 0) return tl::unexpected(ErrnoError("cannot open " + state_dir, errno));
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) {
    const int number = errno;
    ::close(folder);
    return tl::unexpected(ErrnoError("cannot make a socket", number));
  }
  // A socket's address holds 108 bytes; a path through the descriptor fits for any folder.
  const sockaddr_un address = AddressOf("/proc/self/fd/" + std::to_string(folder) + "/" + kSocketName);
  const int failed = ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 ? 0 : errno;
  ::close(folder);
  ucred peer{};
  socklen_t size = sizeof(peer);
  if (failed == 0 && ::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == ::geteuid()) return fd;
  ::close(fd);
  if (failed == ENOENT || failed == ECONNREFUSED || failed == EAGAIN)
    return Fail(Errc::kUnavailable,
                "no furrow-runner serves " + state_dir + ": " + where + ": " + std::strerror(failed));
  if (failed != 0) return tl::unexpected(ErrnoError("cannot connect to " + where, failed));
  return Fail(Errc::kRejected, where + " is served by user " + std::to_string(peer.uid) +
                                   "; run the agent as that user, or give it another state folder");
}

Result<int> ListenSocket() {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return tl::unexpected(ErrnoError("cannot make a socket", errno));
  const std::string what = std::string("cannot listen on ") + kSocketName;
  if (::unlink(kSocketName) != 0 && errno != ENOENT) {
    const int number = errno;
    ::close(fd);
    return tl::unexpected(ErrnoError(what, number));
  }
  const sockaddr_un address = AddressOf(kSocketName);
  const mode_t before = ::umask(0177);
  const bool bound = ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
  const int number = errno;
  ::umask(before);
  if (bound && ::listen(fd, kBacklog) == 0) return fd;
  const int failed = bound ? errno : number;
  ::close(fd);
  return tl::unexpected(ErrnoError(what, failed));
}

}  // namespace furrow::runner
