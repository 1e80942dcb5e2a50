// A ChunkSession handles the chunks and trees of one peer of the bulk endpoint. The calls do disk work, so they belong
// on a worker thread.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/base/worker_pool.h"
#include "common/chunks/store.h"
#include "controller/bulk/reach.h"
#include "controller/bulk/tree_chunks.h"
#include "controller/store/disk_guard.h"
#include "schemas/bulk.h"

namespace furrow {

// One thread at a time may use a session; the store, the trees' chunks and the helpers must outlive it.
class ChunkSession {
 public:
  // `helpers` verify and write chunks beside the thread that calls Handle. While `disk`, which may be null, is not well
  // nothing is taken: uploads must not use up the space that acknowledged work needs.
  ChunkSession(ChunkStore& store, TreeChunks& tree_chunks, WorkerPool& helpers, DiskGuard* disk)
      : store_(store), tree_chunks_(tree_chunks), helpers_(helpers), disk_(disk), batch_(store) {}

  // Handles each ChunkQuery, ChunkPut, TreePut or ChunkGet in order and appends the encoded answers. What lies outside
  // `reach` counts as missing, and is answered in the same words, before the store is asked.
  void Handle(std::span<const BulkRequest> requests, const Reach& reach, std::vector<std::string>& replies);

  // Makes the chunks received so far present and durable, so that a sender whose connection breaks need not send them
  // again.
  void Commit();
  // Returns the bytes of an unfinished tree.
  std::size_t HeldBytes() const { return tree_ ? tree_->bytes.size() : 0; }
  bool HasUncommitted() const { return batch_.Count() != 0; }

 private:
  struct Assembly {  // the parts of a tree's encoding
    Hash hash;
    std::uint64_t total_bytes = 0;
    std::string bytes;
  };

  Status MayTake() const;
  BulkReply On(const ChunkQuery& query, const Reach& reach);
  void Put(std::span<const BulkRequest> puts, const Reach& reach, std::vector<std::string>& replies);
  Status Put(const ChunkPut& put, const Reach& reach);
  BulkReply On(const TreePut& part, const Reach& reach);
  void On(const ChunkGet& get, const Reach& reach, std::vector<std::string>& replies);
  Status Commit(const Hash& tree, const Reach& reach, std::vector<Hash>& missing);
  Status MissAll(const Hash& tree, std::vector<Hash>& missing) const;

  ChunkStore& store_;
  TreeChunks& tree_chunks_;
  WorkerPool& helpers_;
  DiskGuard* const disk_;
  ChunkStore::Batch batch_;
  std::optional<Assembly> tree_;
  Hash last_tree_;  // the tree that named the last chunk that the peer got; Reach::Has keeps it
};

}  // namespace furrow
