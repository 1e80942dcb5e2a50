#include "agent/runner/folder.h"

#include <sys/stat.h>

#include <cerrno>

namespace furrow::runner {

Status MakeFolder(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) == 0 || errno == EEXIST) return {};
  if (errno != ENOENT) return tl::unexpected(ErrnoError("cannot make the folder " + path, errno));
  const std::size_t slash =
      path.find_last_not_of('/') == std::string::npos ? 0 : path.rfind('/', path.find_last_not_of('/'));
  if (slash == 0 || slash == std::string::npos)
    return tl::unexpected(ErrnoError("cannot make the folder " + path, ENOENT));
  FURROW_TRY(MakeFolder(path.substr(0, slash)));
  if (::mkdir(path.c_str(), 0700) == 0 || errno == EEXIST) return {};
  return tl::unexpected(ErrnoError("cannot make the folder " + path, errno));
}

}  // namespace furrow::runner
