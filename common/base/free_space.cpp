#include "common/base/free_space.h"

#include <sys/statvfs.h>

namespace furrow {

std::optional<FreeSpace> FreeSpaceOf(const std::filesystem::path& folder) {
  struct statvfs facts {};
  if (::statvfs(folder.c_str(), &facts) != 0) return std::nullopt;
  if (facts.f_files > 0 && facts.f_favail == 0)
    return FreeSpace{0, false};  // Filesystems without a table of inodes have none to count.
  // Root could use the reserved blocks, too, but they are for the administrator.
  return FreeSpace{static_cast<std::uint64_t>(facts.f_bavail) * facts.f_frsize, true};
}

std::string InWords(const FreeSpace& space) {
  if (!space.files) return "no free inodes: it takes no further file";
  constexpr std::uint64_t kMiB = 1 << 20;
  return space.bytes < 10 * kMiB ? std::to_string(space.bytes >> 10) + " KiB free"
                                 : std::to_string(space.bytes / kMiB) + " MiB free";
}

}  // namespace furrow
