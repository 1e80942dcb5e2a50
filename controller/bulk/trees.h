// What the controller asks of its chunk store (common/chunks/store.h) beyond chunks: trees.
#pragma once

#include <cstdint>
#include <vector>

#include "common/base/error.h"
#include "common/base/ids.h"
#include "common/chunks/store.h"

namespace furrow {

struct TreeCommit {
  std::vector<Hash> missing;  // chunks to fetch first; empty: the tree is whole and durable and may be recorded
  std::uint64_t bytes = 0;    // of all files
  std::uint64_t files = 0;    // entries, links and empty directories included
};

// Looks whether the tree encoding `name` and every chunk that it names are present, and if so makes sure that a power
// cut cannot take any of them. Only then may a record of the tree be written. The encoding itself missing counts as the
// one missing blob. kCorrupt, kInvalid: the encoding is no valid tree.
Result<TreeCommit> CommitTree(ChunkStore& store, const Hash& name);

// Reads and decodes a stored tree. kNotFound, kCorrupt, kInvalid.
Result<Tree> LoadTree(ChunkStore& store, const Hash& name);

}  // namespace furrow
