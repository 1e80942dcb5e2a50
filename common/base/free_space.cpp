#include "common/base/free_space.h"

#include <sys/statvfs.h>

namespace furrow {

std::optional<std::uint64_t> FreeBytes(const std::filesystem::path& folder) {
  struct statvfs facts {};
  if (::statvfs(folder.c_str(), &facts) != 0) return std::nullopt;
  if (facts.f_files > 0 && facts.f_favail == 0) return 0;  // Filesystems without a table of inodes have none to count.
  // Root could use the reserved blocks, too, but they are for the administrator.
  return static_cast<std::uint64_t>(facts.f_bavail) * facts.f_frsize;
}

}  // namespace furrow
