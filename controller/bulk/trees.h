// These functions are the controller's work with trees in its chunk store (common/chunks/store.h).
#pragma once

#include <cstdint>
#include <vector>

#include "common/base/error.h"
#include "common/base/ids.h"
#include "common/chunks/store.h"

namespace furrow {

struct TreeCommit {
  std::vector<Hash> missing;  // chunks to fetch first; empty: the tree is whole, durable and may be recorded
  std::uint64_t bytes = 0;    // bytes of all files
  std::uint64_t files = 0;    // entries, links and empty directories included
};

// Checks whether the tree encoding `name` and every chunk that it names are present, and if so makes all of them
// durable against a power cut. Only then may a record of the tree be written. A missing encoding counts as the one
// missing blob. kCorrupt, kInvalid: the encoding is no valid tree.
Result<TreeCommit> CommitTree(ChunkStore& store, const Hash& name);

// Reads and decodes a stored tree. Fails with kNotFound, kCorrupt or kInvalid.
Result<Tree> LoadTree(ChunkStore& store, const Hash& name);

}  // namespace furrow
