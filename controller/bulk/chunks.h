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
#include "schemas/bulk.h"

namespace furrow {

// One thread at a time may use a session; the store and the helpers must outlive it.
class ChunkSession {
 public:
  // `helpers` verify and write chunks beside the thread that calls Handle.
  ChunkSession(ChunkStore& store, WorkerPool& helpers) : store_(store), helpers_(helpers), batch_(store) {}

  // Handles each ChunkQuery, ChunkPut, TreePut or ChunkGet in order and appends the encoded answers.
  void Handle(std::span<const BulkRequest> requests, std::vector<std::string>& replies);

  // Makes the chunks received so far present and durable, so that a sender whose connection breaks need not send them
  // again.
  void Commit();
  bool HasUncommitted() const { return batch_.Count() != 0; }

 private:
  struct Assembly {  // the parts of a tree's encoding
    Hash hash;
    std::uint64_t total_bytes = 0;
    std::string bytes;
  };

  BulkReply On(const ChunkQuery& query);
  void Put(std::span<const BulkRequest> puts, std::vector<std::string>& replies);
  Status Put(const ChunkPut& put);
  BulkReply On(const TreePut& part);
  void On(const ChunkGet& get, std::vector<std::string>& replies);
  Status Commit(const Hash& tree, std::vector<Hash>& missing);

  ChunkStore& store_;
  WorkerPool& helpers_;
  ChunkStore::Batch batch_;
  std::optional<Assembly> tree_;
};

}  // namespace furrow
