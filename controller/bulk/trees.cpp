#include "controller/bulk/trees.h"

#include "common/base/hash.h"

namespace furrow {

Result<Tree> LoadTree(ChunkStore& store, const Hash& name) {
  FURROW_ASSIGN(const std::string bytes, store.Get(name));
  return DecodeTree(AsBytes(bytes));
}

Result<TreeCommit> CommitTree(ChunkStore& store, const Hash& name) {
  TreeCommit commit;
  const Result<Tree> tree = LoadTree(store, name);
  if (!tree) {
    if (tree.error().code != Errc::kNotFound) return tl::unexpected(tree.error());
    commit.missing.push_back(name);
    return commit;
  }
  commit.bytes = tree->TotalBytes();
  commit.files = tree->entries.size();
  std::vector<Hash> chunks;
  for (const ChunkRef& chunk : tree->UniqueChunks()) chunks.push_back(chunk.hash);
  commit.missing = store.Missing(chunks);
  if (commit.missing.empty()) FURROW_TRY(store.SyncPresence());
  return commit;
}

}  // namespace furrow
