// Finds what a scan is to take: walks folders by descriptor, following no link. Used by tree_scan.cpp.
#pragma once

#include <sys/stat.h>

#include <string>
#include <vector>

#include "common/base/error.h"
#include "common/chunks/tree.h"

namespace furrow {

struct WalkedEntry {
  std::string path;
  TreeMode mode = TreeMode::kFile;
  struct stat status {};  // of files
  std::string target;     // of links
};

struct Walk {
  std::vector<WalkedEntry> entries;    // in no order, perhaps with doubles
  std::vector<std::string> unmatched;  // patterns that matched nothing
};

// As ScanOptions describes `include` and `exclude`.
Result<Walk> WalkPatterns(int root_fd, const std::vector<std::string>& include,
                          const std::vector<std::string>& exclude);

// Exactly `paths`, directories with all beneath. kNotFound names the first that does not exist.
Result<Walk> WalkPaths(int root_fd, std::vector<std::string> paths, const std::vector<std::string>& exclude);

}  // namespace furrow
