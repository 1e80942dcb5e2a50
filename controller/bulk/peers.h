// Peers are the connections of the bulk endpoint. Inside a turn a peer comes, or is told to leave, and nothing erases:
// every Peer& and every iteration stays valid, whatever is called meanwhile. The end of the turn erases those that
// leave.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/base/check.h"
#include "common/transport/transport.h"
#include "controller/bulk/chunks.h"
#include "controller/bulk/load.h"
#include "schemas/bulk.h"

namespace furrow {

class Peers {
 public:
  using Time = std::chrono::steady_clock::time_point;

  // A Waiting is a request or a frame with its place in the BulkLoad.
  template <class T>
  struct Waiting {
    T what;
    BulkLoad::Held held;
  };
  struct Peer {
    std::uint64_t life = 0;  // A peer that was erased and comes again has another one.
    Identity who;
    std::shared_ptr<BulkLoad::Key> key;
    std::deque<Waiting<BulkRequest>> chunk_requests;  // in order; not yet with a worker
    bool chunks_busy = false;                         // A worker has the session.
    std::unique_ptr<ChunkSession> session;
    BulkLoad::Held session_held;           // for what the session keeps in memory
    std::uint32_t log_messages = 0;        // messages with the writer
    std::deque<Waiting<std::string>> out;  // frames that the network does not take yet
    std::size_t out_bytes = 0;
    bool dropped = false;  // The peer leaves, and nothing is kept for it any more.
    Time heard, sent;      // last message from the peer; last time that the peer took one
  };

  // A Gone is a peer that was erased. Only the end of a turn makes one, so that nobody holds the peer, or what belongs
  // to it, where a function takes a Gone.
  class Gone {
   public:
    PeerId id() const { return node_.key(); }
    const Peer& peer() const { return node_.mapped(); }

   private:
    friend class Peers;
    explicit Gone(std::map<PeerId, Peer>::node_type node) : node_(std::move(node)) {}
    std::map<PeerId, Peer>::node_type node_;
  };

  // Calls `turn` and then takes out the peers that were told to leave. A turn begins in no other one.
  template <class Work>
  std::vector<Gone> Turn(const Work& turn) {
    FURROW_CHECK(!std::exchange(in_turn_, true), "a turn of the bulk endpoint begins after the one before");
    turn();
    in_turn_ = false;
    std::vector<Gone> gone;
    for (const PeerId id : std::exchange(leaving_, {}))
      if (auto node = all_.extract(id)) gone.push_back(Gone(std::move(node)));
    return gone;
  }

  // Returns the peer, and whether it is new.
  std::pair<Peer&, bool> Make(PeerId id) {
    const auto [found, is_new] = all_.try_emplace(id);
    if (is_new) found->second.life = ++lives_;
    return {found->second, is_new};
  }
  Peer* Find(PeerId id) {
    const auto found = all_.find(id);
    return found == all_.end() ? nullptr : &found->second;
  }
  // Returns null if the peer was erased since it had this life, also if it came again.
  Peer* Find(PeerId id, std::uint64_t life) {
    Peer* peer = Find(id);
    return peer != nullptr && peer->life == life ? peer : nullptr;
  }
  void Leave(PeerId id) { leaving_.push_back(id); }

  auto begin() { return all_.begin(); }
  auto end() { return all_.end(); }

 private:
  std::map<PeerId, Peer> all_;  // A new peer invalidates no iterator.
  std::vector<PeerId> leaving_;
  std::uint64_t lives_ = 0;
  bool in_turn_ = false;
};

}  // namespace furrow
