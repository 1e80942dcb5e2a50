// Cuts and hashes many files on a few threads. Used by tree_scan.cpp.
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
  std::string path;              // beneath the root
  struct stat status {};         // as the walk saw it; afterwards as it was when hashed
  std::vector<ChunkRef> chunks;  // the result
};

// Fills in the chunks of every job whose file is not in the cache; `cache` may be null. Returns the bytes hashed.
// kUnavailable: a file changed while it was read, three times over; others as when a file cannot be read.
Result<std::uint64_t> HashFiles(int root_fd, const std::vector<HashJob*>& jobs, HashCache* cache, unsigned threads);

}  // namespace furrow
