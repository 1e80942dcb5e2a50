// Fetches chunks and tree encodings from the controller into the local store, a window at a time. A ChunkFetcher
// belongs to the thread of its channel.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/base/error.h"
#include "common/base/ids.h"
#include "common/chunks/store.h"
#include "schemas/bulk.h"

namespace furrow {

class Channel;

class ChunkFetcher {
 public:
  using Time = std::chrono::steady_clock::time_point;

  // Borrows the channel and the store, which must outlive the fetcher.
  ChunkFetcher(Channel& channel, ChunkStore& store) : channel_(channel), store_(&store) {}

  // Puts what arrives from now on into another store.
  void Use(ChunkStore& store) {
    store_ = &store;
    ++stores_;
  }

  // Asks for the chunk or tree unless a request is already open. Each request ends in one Fetched or a Forget.
  void Want(const Hash& hash, bool tree);
  // Gives the request up; a late answer is dropped.
  void Forget(const Hash& hash);

  // Takes the answers that have arrived, sends as many requests as the window allows and repeats those that a broken
  // connection lost. Returns the requests that ended: the store has the bytes, or a retry cannot cure the error.
  struct Fetched {
    Hash hash;
    Status status;
    std::uint64_t stores = 0;  // as Stores() was then
  };
  std::vector<Fetched> Turn(Time now);

  // Returns how often the store was changed.
  std::uint64_t Stores() const { return stores_; }
  bool Idle() const { return wanted_.empty(); }

 private:
  struct Wanted {
    bool tree = false;
    bool under_way = false;
    int failures = 0;     // number of answers that failed or were corrupt
    Time not_before{};    // earliest time of the next request
    std::string partial;  // bytes so far of an encoding that comes in parts
  };

  void OnReply(const BulkReply& reply, Time now);
  void OnData(const ChunkData& data, Time now);
  void Again(const Hash& hash, Wanted& wanted, Time now, Error error);
  void End(const Hash& hash, Status status);
  void SendMore(Time now);

  Channel& channel_;
  ChunkStore* store_;
  std::uint64_t stores_ = 0;
  std::unordered_map<Hash, Wanted> wanted_;
  std::deque<Hash> queue_;  // hashes that are wanted and not under way; some may be forgotten
  std::uint32_t under_way_ = 0;
  Time heard_{};  // time of the last answer, or of the last Turn without an open request
  std::uint64_t connection_ = 0;
  std::vector<Fetched> done_;
};

}  // namespace furrow
