// Fetches chunks and tree encodings from the controller into the local store, a window at a time. Belongs to the
// thread of its channel.
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

  // Borrowed; both must outlive this.
  ChunkFetcher(Channel& channel, ChunkStore& store) : channel_(channel), store_(store) {}

  // Asks for what is not asked for already. Each ends in one Fetched.
  void Want(const Hash& hash, bool tree);
  // Nobody needs it any more; an answer that still comes is dropped.
  void Forget(const Hash& hash);

  // Takes the answers that have arrived, sends what the window allows and repeats what got lost with a connection.
  // Returns what ended: present in the store now, or an error that trying again will not cure.
  struct Fetched {
    Hash hash;
    Status status;
  };
  std::vector<Fetched> Turn(Time now);

  bool Idle() const { return wanted_.empty(); }

 private:
  struct Wanted {
    bool tree = false;
    bool under_way = false;
    int failures = 0;     // answers that were no good
    Time not_before{};    // after a failure
    std::string partial;  // of an encoding that comes in parts
  };

  void OnReply(const BulkReply& reply, Time now);
  void OnData(const ChunkData& data, Time now);
  void Again(const Hash& hash, Wanted& wanted, Time now, Error error);
  void End(const Hash& hash, Status status);
  void SendMore(Time now);

  Channel& channel_;
  ChunkStore& store_;
  std::unordered_map<Hash, Wanted> wanted_;
  std::deque<Hash> queue_;  // wanted and not under way; may hold forgotten ones
  std::uint32_t under_way_ = 0;
  Time heard_{};  // last answer, or when there was nothing to answer
  std::uint64_t connection_ = 0;
  std::vector<Fetched> done_;
};

}  // namespace furrow
