// Outgoing holds the frames of the control channel that the network does not take yet. ZeroMQ's own queues count
// messages and show nothing of themselves, so the server keeps them short, and what waits here has a bound in bytes:
// for each connection and over all. A peer that does not read is dropped with all that waits for it, and delays nobody.
#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "common/base/clock.h"
#include "common/transport/transport.h"

namespace furrow {

struct OutgoingLimits {
  std::size_t peer_bytes = 16u << 20;
  std::size_t all_bytes = 256u << 20;
  Duration stall = std::chrono::seconds(60);  // A peer that takes nothing for so long is dropped.
};

class Outgoing {
 public:
  using Transmit = std::function<SendResult(PeerId, std::string_view)>;
  explicit Outgoing(Transmit transmit, OutgoingLimits limits = {}) : transmit_(std::move(transmit)), limits_(limits) {}

  // Sends the frame, or keeps it behind those that wait for the same peer. TakeDropped then has the peer if the peer is
  // gone or was dropped, or another one that had to make room.
  void Send(TimePoint now, PeerId peer, std::string frame);
  // Tries to send what waits.
  void Flush(TimePoint now);
  // Returns the peers that were dropped since the last call; nothing that was sent to them may be counted on.
  std::vector<PeerId> TakeDropped() { return std::exchange(dropped_, {}); }
  // Returns how long the next Flush may wait; nullopt: nothing waits. ZeroMQ does not say when a queue has room.
  std::optional<std::chrono::milliseconds> Patience() const;
  std::size_t bytes() const { return bytes_; }

 private:
  struct Peer {
    std::deque<std::string> frames;
    std::size_t bytes = 0;
    TimePoint moved;  // the last time that the network took a frame
  };
  using Peers = std::unordered_map<PeerId, Peer>;
  Peers::iterator Drop(Peers::iterator peer);
  bool MakeRoom(PeerId peer, std::size_t bytes);

  const Transmit transmit_;
  const OutgoingLimits limits_;
  Peers waiting_;
  std::size_t bytes_ = 0;
  int idle_ = 0;  // the number of calls of Flush since the network took a frame
  std::vector<PeerId> dropped_;
};

}  // namespace furrow
