#include "controller/bulk/tree_chunks.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "common/base/hash.h"
#include "common/base/log.h"
#include "common/chunks/tree.h"

namespace furrow {
namespace {

constexpr std::size_t kOverheadBytes = 256;  // of a tree's entry, so that many small trees count, too

}  // namespace

TreeChunks::Key TreeChunks::KeyOf(const Hash& chunk) {
  Key key;
  std::memcpy(key.data(), chunk.bytes.data(), key.size());
  return key;
}

bool TreeChunks::Has(const Keys& keys, const Hash& chunk) {
  return std::binary_search(keys->begin(), keys->end(), KeyOf(chunk));
}

std::size_t TreeChunks::BytesOf(const Keys& keys) {
  return kOverheadBytes + keys->size() * sizeof(Key);
}

std::optional<bool> TreeChunks::Recall(const Hash& tree, const Hash& chunk) {
  const std::lock_guard lock(mutex_);
  const auto found = trees_.find(tree);
  if (found == trees_.end() || !found->second.keys) return std::nullopt;
  if (!Has(found->second.keys, chunk)) return false;  // A tree that does not help is not in use.
  Use(found->second);
  return true;
}

bool TreeChunks::Names(const Hash& tree, const Hash& chunk) {
  const Keys keys = Find(tree);
  return keys && Has(keys, chunk);
}

TreeChunks::Keys TreeChunks::Use(Known& known) {
  by_use_.splice(by_use_.begin(), by_use_, known.used);
  return known.keys;
}

TreeChunks::Keys TreeChunks::Find(const Hash& tree) {
  std::unique_lock lock(mutex_);
  for (;;) {
    const auto [found, is_new] = trees_.try_emplace(tree);
    if (is_new) break;
    if (found->second.keys) return Use(found->second);
    read_.wait(lock);
  }
  lock.unlock();
  const Keys keys = Read(tree);
  lock.lock();
  const auto own = trees_.find(tree);  // Only this thread erases an entry without keys.
  if (keys) {
    by_use_.push_front(tree);
    own->second = {keys, by_use_.begin()};
    bytes_ += BytesOf(keys);
    ++decoded_;
    Shrink();
  } else {
    trees_.erase(own);
  }
  read_.notify_all();
  return keys;
}

// A tree that is missing may come back, so its absence is not kept: the next look costs no more than a failed open.
// Bytes that have the tree's name and are no tree stay so.
TreeChunks::Keys TreeChunks::Read(const Hash& tree) {
  std::vector<Key> keys;
  const auto bytes = store_.Get(tree);
  if (!bytes) {
    if (bytes.error().code != Errc::kNotFound) log::Warning("the chunks of a tree: {}", bytes.error().message);
    return nullptr;
  }
  const auto decoded = DecodeTree(AsBytes(*bytes));
  if (decoded) {
    for (const TreeEntry& entry : decoded->entries)
      for (const ChunkRef& chunk : entry.chunks) keys.push_back(KeyOf(chunk.hash));
  } else {
    log::Warning("the chunks of the tree {}: {}", tree.ToHex(), decoded.error().message);
  }
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  keys.shrink_to_fit();
  return std::make_shared<const std::vector<Key>>(std::move(keys));
}

void TreeChunks::Shrink() {
  while (bytes_ > max_bytes_ && by_use_.size() > 1) {
    const auto oldest = trees_.find(by_use_.back());
    bytes_ -= BytesOf(oldest->second.keys);
    trees_.erase(oldest);
    by_use_.pop_back();
  }
}

std::size_t TreeChunks::Bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

std::uint64_t TreeChunks::Decoded() const {
  const std::lock_guard lock(mutex_);
  return decoded_;
}

}  // namespace furrow
