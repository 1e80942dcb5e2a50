#include "controller/access/enrol_guard.h"

#include <algorithm>
#include <chrono>

namespace furrow {
namespace {

// A client sends two messages to enrol and repeats one a second; forty machines may be enrolled in the same second.
constexpr double kMessagesOfOne = 10, kMessagesOfOnePerSecond = 3;
constexpr double kProofsOfOne = 3, kProofsOfOnePerSecond = 0.5;
constexpr double kMessagesOfAll = 1000, kMessagesOfAllPerSecond = 200;
constexpr double kProofsOfAll = 200, kProofsOfAllPerSecond = 50;
constexpr std::size_t kMostPeers = 4096;
constexpr Duration kForgetAfter = std::chrono::seconds(60);  // A bucket is full again by then.

}  // namespace

TokenBucket::TokenBucket(double most, double per_second, TimePoint now)
    : most_(most), per_second_(per_second), tokens_(most), used_(now) {}

bool TokenBucket::Take(TimePoint now) {
  const double seconds = std::chrono::duration<double>(std::max(now - used_, Duration{0})).count();
  tokens_ = std::min(most_, tokens_ + seconds * per_second_);
  used_ = now;
  if (tokens_ < 1) return false;
  tokens_ -= 1;
  return true;
}

EnrolGuard::EnrolGuard(TimePoint now)
    : messages_(kMessagesOfAll, kMessagesOfAllPerSecond, now), proofs_(kProofsOfAll, kProofsOfAllPerSecond, now) {}

EnrolGuard::Peer& EnrolGuard::Of(PeerId peer, TimePoint now) {
  if (const auto known = peers_.find(peer); known != peers_.end()) return known->second;
  if (peers_.size() >= kMostPeers)
    std::erase_if(peers_, [&](const auto& entry) { return now - entry.second.messages.used() > kForgetAfter; });
  if (peers_.size() >= kMostPeers) peers_.clear();
  return peers_
      .emplace(peer, Peer{TokenBucket(kMessagesOfOne, kMessagesOfOnePerSecond, now),
                          TokenBucket(kProofsOfOne, kProofsOfOnePerSecond, now)})
      .first->second;
}

bool EnrolGuard::Admits(PeerId peer, TimePoint now) {
  return Of(peer, now).messages.Take(now) && messages_.Take(now);
}

bool EnrolGuard::AdmitsProof(PeerId peer, TimePoint now) {
  return Of(peer, now).proofs.Take(now) && proofs_.Take(now);
}

}  // namespace furrow
