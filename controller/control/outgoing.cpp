#include "controller/control/outgoing.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace furrow {
namespace {

constexpr std::size_t kOverheadBytes = 64;  // memory of a frame beside its bytes
constexpr int kMaxIdle = 6;

}  // namespace

void Outgoing::Send(TimePoint now, PeerId peer, std::string frame) {
  const auto found = waiting_.find(peer);
  if (found == waiting_.end()) {
    const SendResult result = transmit_(peer, frame);
    if (result == SendResult::kSent) return;
    if (result == SendResult::kGone) return dropped_.push_back(peer);
  }
  const std::size_t bytes = frame.size() + kOverheadBytes;
  if (!MakeRoom(peer, bytes)) return;
  const auto [entry, is_new] = waiting_.try_emplace(peer);
  if (is_new) entry->second.moved = now;
  entry->second.frames.push_back(std::move(frame));
  entry->second.bytes += bytes;
  bytes_ += bytes;
  idle_ = 0;
}

bool Outgoing::MakeRoom(PeerId peer, std::size_t bytes) {
  if (const auto own = waiting_.find(peer); own != waiting_.end() && own->second.bytes + bytes > limits_.peer_bytes) {
    Drop(own);
    return false;
  }
  while (bytes_ + bytes > limits_.all_bytes && !waiting_.empty()) {
    const auto greediest = std::max_element(waiting_.begin(), waiting_.end(), [](const auto& one, const auto& other) {
      return one.second.bytes < other.second.bytes;
    });
    const bool own = greediest->first == peer;
    Drop(greediest);
    if (own) return false;
  }
  return true;
}

void Outgoing::Flush(TimePoint now) {
  bool moved = false;
  for (auto entry = waiting_.begin(); entry != waiting_.end();) {
    auto& [id, peer] = *entry;
    SendResult result = SendResult::kSent;
    while (!peer.frames.empty() && (result = transmit_(id, peer.frames.front())) == SendResult::kSent) {
      const std::size_t bytes = peer.frames.front().size() + kOverheadBytes;
      peer.frames.pop_front();
      peer.bytes -= bytes;
      bytes_ -= bytes;
      peer.moved = now;
      moved = true;
    }
    if (peer.frames.empty())
      entry = waiting_.erase(entry);
    else if (result == SendResult::kGone || now - peer.moved > limits_.stall)
      entry = Drop(entry);
    else
      ++entry;
  }
  idle_ = moved ? 0 : std::min(idle_ + 1, kMaxIdle);
}

Outgoing::Peers::iterator Outgoing::Drop(Peers::iterator peer) {
  bytes_ -= peer->second.bytes;
  dropped_.push_back(peer->first);
  return waiting_.erase(peer);
}

// A queue that moves has room within a millisecond; one that does not is looked at less and less often.
std::optional<std::chrono::milliseconds> Outgoing::Patience() const {
  if (waiting_.empty()) return std::nullopt;
  return std::chrono::milliseconds(1 << idle_);
}

}  // namespace furrow
