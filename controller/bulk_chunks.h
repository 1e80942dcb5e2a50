// What one peer of the bulk endpoint does with chunks and trees. Disk work: for a worker thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/chunk_store.h"
#include "common/messages_bulk.h"

namespace furrow {

// One thread at a time; the store must outlive it.
class ChunkSession {
 public:
  explicit ChunkSession(ChunkStore& store) : store_(store), batch_(store) {}

  // Does what a ChunkQuery, ChunkPut, TreePut or ChunkGet asks and appends the encoded answers.
  void Handle(const BulkRequest& request, std::vector<std::string>& replies);

  // Makes what was received so far present and durable, so that a sender that was cut off need not send it again.
  void Commit();
  bool HasUncommitted() const { return batch_.Count() != 0; }

 private:
  struct Assembly {  // of a tree's encoding
    Hash hash;
    std::uint64_t total_bytes = 0;
    std::string bytes;
  };

  BulkReply On(const ChunkQuery& query);
  BulkReply On(const ChunkPut& put);
  BulkReply On(const TreePut& part);
  void On(const ChunkGet& get, std::vector<std::string>& replies);
  Status Commit(const Hash& tree, std::vector<Hash>& missing);

  ChunkStore& store_;
  ChunkStore::Batch batch_;
  std::optional<Assembly> tree_;
};

}  // namespace furrow
