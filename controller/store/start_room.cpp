#include "controller/store/start_room.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <string>
#include <system_error>

#include "common/base/file_io.h"
#include "common/base/log.h"

namespace furrow {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

constexpr std::uint64_t kNewFiles = 1 << 20;
constexpr milliseconds kLook{250};

bool HasRoom(const fs::path& dir, std::uint64_t bytes) {
  std::string name = (dir / "room.XXXXXX").string();
  const FileHandle file(::mkostemp(name.data(), O_CLOEXEC));
  // Only a lack of space is waited for; what else is wrong is told by who opens the files.
  if (!file) return errno != ENOSPC && errno != EDQUOT;
  ::unlink(name.c_str());
  const int number = ::posix_fallocate(file.Get(), 0, static_cast<off_t>(bytes));
  return number != ENOSPC && number != EDQUOT;
}

}  // namespace

std::uint64_t BytesToStart(const fs::path& dir) {
  std::uint64_t bytes = kNewFiles;
  std::error_code failed;
  for (fs::directory_iterator at(dir / "db", failed), end; !failed && at != end; at.increment(failed)) {
    if (at->path().extension() != ".log") continue;
    const std::uint64_t size = at->file_size(failed);
    if (!failed) bytes += size;
  }
  return bytes;
}

Result<bool> AwaitRoom(const fs::path& dir, std::uint64_t bytes, DiskGuard& guard, int stop, milliseconds patience) {
  if (HasRoom(dir, bytes)) return true;
  guard.OnNoSpace();
  const std::string why = "the disk of " + dir.string() + " is full: a start needs " + std::to_string(bytes >> 10) +
                          " KiB there. Delete something on that disk, or give the farm a larger one";
  for (milliseconds waited{0}; !HasRoom(dir, bytes); waited += kLook) {
    if (waited.count() == 0) log::Error("{}; waiting for room", why);
    if (waited >= patience) return Fail(Errc::kUnavailable, why);
    pollfd signal{stop, POLLIN, 0};
    if (::poll(&signal, 1, static_cast<int>(kLook.count())) > 0) return false;
  }
  return true;
}

}  // namespace furrow
