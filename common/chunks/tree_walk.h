// Finds what a scan takes: walks folders by descriptor and follows no link. tree_scan.cpp uses it.
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
  struct stat status {};  // the status of a file
  std::string target;     // the target of a link
};

struct Walk {
  std::vector<WalkedEntry> entries;    // in no order, perhaps with doubles
  std::vector<std::string> unmatched;  // patterns that matched nothing
  std::vector<std::string> left_out;   // words about what could not be walked; see ScanOptions::keep_going
  std::vector<std::string> special;    // paths of sockets, pipes and devices
};

// Walks the paths that ScanOptions describes with `include` and `exclude`.
Result<Walk> WalkPatterns(int root_fd, const std::vector<std::string>& include, const std::vector<std::string>& exclude,
                          bool keep_going);

// Walks exactly `paths`, directories with all beneath. kNotFound: the message names the first path that does not exist.
Result<Walk> WalkPaths(int root_fd, std::vector<std::string> paths, const std::vector<std::string>& exclude);

}  // namespace furrow
