#include "controller/bulk/load.h"

#include <algorithm>

namespace furrow {

BulkLoad::Held::Held(std::shared_ptr<Key> key, std::size_t bytes) : key_(std::move(key)), bytes_(bytes) {
  key_->bytes += bytes_;
  *key_->all += bytes_;
}

BulkLoad::Held& BulkLoad::Held::operator=(Held&& other) noexcept {
  Release();
  key_ = std::move(other.key_);
  bytes_ = other.bytes_;
  return *this;
}

void BulkLoad::Held::Release() {
  if (!key_) return;
  key_->bytes -= bytes_;
  *key_->all -= bytes_;
  key_.reset();
}

std::shared_ptr<BulkLoad::Key> BulkLoad::KeyOf(const Identity& who) {
  std::shared_ptr<Key>& key = keys_[who];
  if (!key) key = std::make_shared<Key>(who, all_);
  return key;
}

std::optional<BulkLoad::Held> BulkLoad::Take(const std::shared_ptr<Key>& key, std::size_t bytes) const {
  if (key->bytes + bytes > limits_.key_bytes || *all_ + bytes > limits_.all_bytes) return std::nullopt;
  return Held(key, bytes);
}

bool BulkLoad::IsGreedy(const Key& key, std::size_t bytes) const {
  const auto others = std::count_if(keys_.begin(), keys_.end(), [&](const auto& entry) {
    return entry.second.get() != &key && entry.second->bytes > 0;
  });
  const std::size_t share = limits_.all_bytes / (static_cast<std::size_t>(others) + 1);
  return key.bytes + bytes > std::min(limits_.key_bytes, share);
}

std::shared_ptr<BulkLoad::Key> BulkLoad::Greediest() const {
  std::shared_ptr<Key> most;
  for (const auto& [who, key] : keys_)
    if (key->bytes > (most ? most->bytes.load() : 0)) most = key;
  return most;
}

void BulkLoad::Sweep() {
  std::erase_if(keys_, [](const auto& entry) { return entry.second.use_count() == 1; });
}

}  // namespace furrow
