// How often the enrol endpoint lets itself be asked. Anyone may connect there, so both what one connection and what all
// together may cost is bounded. A proof costs more than a probe: it goes to the loop.
#pragma once

#include <cstddef>
#include <unordered_map>

#include "common/base/clock.h"
#include "common/transport/transport.h"

namespace furrow {

// Fills at `per_second` up to `most`; each Take empties it by one.
class TokenBucket {
 public:
  TokenBucket(double most, double per_second, TimePoint now);
  bool Take(TimePoint now);
  TimePoint used() const { return used_; }

 private:
  double most_, per_second_, tokens_;
  TimePoint used_;
};

class EnrolGuard {
 public:
  explicit EnrolGuard(TimePoint now);

  // Whether a message of this peer is to be looked at, and whether a proof among them is to be checked.
  bool Admits(PeerId peer, TimePoint now);
  bool AdmitsProof(PeerId peer, TimePoint now);
  void Forget() { peers_.clear(); }
  std::size_t peers() const { return peers_.size(); }

 private:
  struct Peer {
    TokenBucket messages;
    TokenBucket proofs;
  };
  Peer& Of(PeerId peer, TimePoint now);

  TokenBucket messages_, proofs_;
  std::unordered_map<PeerId, Peer> peers_;
};

}  // namespace furrow
