// Asks how much room a filesystem has for a process that is not its administrator.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace furrow {

struct FreeSpace {
  std::uint64_t bytes = 0;  // that may still be written; 0 also where no further file is taken
  bool files = true;        // false: every inode is in use, whatever room there is
};

// Returns the free space of the folder's filesystem. Nothing: it cannot be asked.
std::optional<FreeSpace> FreeSpaceOf(const std::filesystem::path& folder);

// Returns "3 MiB free" or, where no further file is taken, "no free inodes", for people.
std::string InWords(const FreeSpace& space);

}  // namespace furrow
