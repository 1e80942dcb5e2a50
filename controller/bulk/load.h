// The BulkLoad counts what waits in the bulk endpoint, in bytes: over all peers, and for each key over all of its
// connections. Every peer is bounded by itself; this bounds them together, so that many connections, or many keys, take
// no more memory than a few.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "common/transport/transport.h"
#include "controller/bulk/server.h"

namespace furrow {

// Says why a peer is not served fully.
enum class BulkFault : std::uint8_t {
  kNoMessage,  // It sent something that is no message.
  kWindow,     // It sends more than its window allows.
  kUnread,     // It sends without reading the answers.
  kTooMuch,    // More waits for its key than may.
  kDropped,    // What waited for it was dropped.
};

// The functions of a BulkLoad belong to the bulk thread; any thread may destroy a Held.
class BulkLoad {
 public:
  explicit BulkLoad(BulkLimits limits) : limits_(limits) {}

  struct Key {
    explicit Key(Identity owner, std::shared_ptr<std::atomic<std::size_t>> total)
        : who(std::move(owner)), all(std::move(total)) {}
    const Identity who;
    const std::shared_ptr<std::atomic<std::size_t>> all;
    std::atomic<std::size_t> bytes{0};
  };

  // A Held counts its bytes for a key while it lives.
  class Held {
   public:
    Held() = default;
    Held(Held&& other) noexcept : key_(std::move(other.key_)), bytes_(other.bytes_) {}
    Held& operator=(Held&& other) noexcept;
    ~Held() { Release(); }
    std::size_t bytes() const { return key_ ? bytes_ : 0; }

   private:
    friend class BulkLoad;
    Held(std::shared_ptr<Key> key, std::size_t bytes);
    void Release();
    std::shared_ptr<Key> key_;
    std::size_t bytes_ = 0;
  };

  std::shared_ptr<Key> KeyOf(const Identity& who);
  // Counts `bytes` for the key; nullopt: they are too many for the key, or for all.
  std::optional<Held> Take(const std::shared_ptr<Key>& key, std::size_t bytes) const;
  // Counts `bytes` that are there in any case.
  Held Keep(const std::shared_ptr<Key>& key, std::size_t bytes) const { return {key, bytes}; }
  // Returns whether the key itself is why Take fails: it would have more than one key may, or than its share when all
  // is full. Otherwise the greediest key has to give.
  bool IsGreedy(const Key& key, std::size_t bytes) const;
  std::shared_ptr<Key> Greediest() const;  // null: nothing waits

  void Sweep();  // forgets keys of which nothing is left

  std::size_t Bytes() const { return *all_; }  // any thread

 private:
  const BulkLimits limits_;
  const std::shared_ptr<std::atomic<std::size_t>> all_ = std::make_shared<std::atomic<std::size_t>>(0);
  std::map<Identity, std::shared_ptr<Key>> keys_;
};

}  // namespace furrow
