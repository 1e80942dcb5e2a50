// Cuts and hashes many files on a few threads. tree_scan.cpp uses it.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <string>
#include <vector>

#include "common/base/error.h"
#include "common/chunks/tree.h"

namespace furrow {

class HashCache;

struct HashJob {
  std::string path;              // the path beneath the root
  struct stat status {};         // the status that the walk saw; after HashFiles, the status of the hashed file
  std::vector<ChunkRef> chunks;  // the result
  std::string failure;           // why the file could not be hashed; empty: it could
};

// Fills in the chunks of every job whose file is not in the cache; `cache` may be null. Returns the number of hashed
// bytes. With `keep_going` a file that cannot be hashed says so in its job; otherwise it ends the call. kUnavailable: a
// file changed three times while it was read. Other errors say that a file cannot be read.
Result<std::uint64_t> HashFiles(int root_fd, const std::vector<HashJob*>& jobs, HashCache* cache, unsigned threads,
                                bool keep_going);

}  // namespace furrow
