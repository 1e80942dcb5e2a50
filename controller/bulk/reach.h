// A Reach is what one peer may have of the chunk store. Agents reach what their assignments name; clients reach all of
// their project's store (schemas/PROTOCOL.md, "Trees and chunks").
#pragma once

#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/base/ids.h"
#include "common/transport/transport.h"
#include "controller/bulk/tree_chunks.h"
#include "controller/state/effects.h"

namespace furrow {

// A Reach never changes, so that a worker may use it while grants come and go.
struct Reach {
  bool whole = false;                                                // The peer reaches the whole store.
  std::vector<std::shared_ptr<const std::vector<Hash>>> trees = {};  // of each live grant, each list sorted and once

  // Returns whether the peer may store chunks and trees, and ask which there are.
  bool MayStore() const { return whole || !trees.empty(); }
  // Returns whether the peer may have this blob. `last` is the peer's own note of the tree that named the last chunk.
  // May read trees from the disk.
  bool Has(const Hash& blob, TreeChunks& chunks, Hash& last) const;
};

// The Reaches are those of all peers. They belong to the bulk thread.
class Reaches {
 public:
  void Grant(const BulkGrant& grant);
  void Revoke(AttemptRef attempt);
  std::shared_ptr<const Reach> Of(const Identity& who);

 private:
  using Trees = std::shared_ptr<const std::vector<Hash>>;
  struct Agent {
    std::map<AttemptRef, Trees> attempts;
    std::shared_ptr<const Reach> reach;  // null: not made since the last grant or revoke
  };
  Trees Share(const std::shared_ptr<const std::vector<Hash>>& trees);

  std::unordered_map<std::string, Agent> agents_;
  std::unordered_map<AttemptRef, std::string> agent_of_;
  // The lists by the hash of their content: all shards of a job have the same trees, which may be 100,000.
  std::unordered_map<Hash, std::weak_ptr<const std::vector<Hash>>> lists_;
};

}  // namespace furrow
