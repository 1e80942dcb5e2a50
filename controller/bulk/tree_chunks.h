// TreeChunks knows which chunks a tree names, so that a tree is not decoded for each request of one of its chunks.
#pragma once

#include <array>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <vector>

#include "common/base/ids.h"
#include "common/chunks/store.h"

namespace furrow {

// Any thread that may work on the disk may use a TreeChunks; all peers share one. The store must outlive it.
class TreeChunks {
 public:
  // The memory of all trees together. A chunk takes 16 bytes, so this is enough for four million chunks, which is a
  // terabyte of files, and for two trees of the largest size. The trees used longest ago go first.
  static constexpr std::size_t kMaxBytes = 64 << 20;

  explicit TreeChunks(ChunkStore& store, std::size_t max_bytes = kMaxBytes) : store_(store), max_bytes_(max_bytes) {}

  // Returns whether the tree names the chunk; nullopt: that is not in memory.
  std::optional<bool> Recall(const Hash& tree, const Hash& chunk);
  // Returns whether the tree names the chunk, and reads and decodes the tree if that is not in memory. Threads that ask
  // about the same tree wait for the first of them. A tree that is damaged or missing names nothing.
  bool Names(const Hash& tree, const Hash& chunk);

  std::size_t Bytes() const;      // the memory of all trees
  std::uint64_t Decoded() const;  // the number of trees decoded so far
 private:
  // Half of a hash: nobody finds another chunk with the same half, and twice as many fit.
  using Key = std::array<std::uint8_t, 16>;
  using Keys = std::shared_ptr<const std::vector<Key>>;  // sorted
  struct Known {
    Keys keys;                       // null: a thread reads the tree
    std::list<Hash>::iterator used;  // its place in by_use_, unless keys is null
  };

  static Key KeyOf(const Hash& chunk);
  static bool Has(const Keys& keys, const Hash& chunk);
  static std::size_t BytesOf(const Keys& keys);
  Keys Use(Known& known);  // mutex_ is held
  Keys Find(const Hash& tree);
  Keys Read(const Hash& tree);  // null: the tree cannot be read now
  void Shrink();                // mutex_ is held

  ChunkStore& store_;
  const std::size_t max_bytes_;
  mutable std::mutex mutex_;  // guards the following fields
  std::condition_variable read_;
  std::unordered_map<Hash, Known> trees_;
  std::list<Hash> by_use_;  // the newest first
  std::size_t bytes_ = 0;
  std::uint64_t decoded_ = 0;
};

}  // namespace furrow
