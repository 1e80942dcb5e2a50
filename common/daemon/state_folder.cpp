#include "common/daemon/state_folder.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "common/base/file_io.h"
#include "common/daemon/farm_file.h"

namespace furrow::daemon {

Status TakeStateFolder(const std::filesystem::path& folder) {
  std::string path = folder.string();
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  if (const Status made = MakeFolders(path); !made) return Fail(Errc::kInvalid, made.error().message);
  struct stat now {};
  if (::stat(path.c_str(), &now) != 0)
    return Fail(Errc::kInvalid, ErrnoError("cannot look at the state folder " + path, errno).message);
  if (!S_ISDIR(now.st_mode)) return Fail(Errc::kInvalid, "the state folder " + path + " is no folder");
  const bool shared = (now.st_mode & S_ISVTX) != 0 || now.st_uid != ::geteuid();
  const mode_t mode = 0700 | (RunsAsFarmGroup() ? now.st_mode & 050 : 0);
  if (!shared && (now.st_mode & 07777) != mode && ::chmod(path.c_str(), mode) != 0)
    return Fail(Errc::kInvalid,
                ErrnoError("cannot take the state folder " + path + " from other users", errno).message);
  return {};
}

}  // namespace furrow::daemon
