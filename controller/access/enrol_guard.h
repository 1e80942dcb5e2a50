// The EnrolGuard limits the rate of requests to the enrol endpoint. Anyone may connect there, so the cost of one
// connection and of all connections together is bounded. A proof costs more than a probe, because the proof goes to the
// loop.
#pragma once

#include <cstddef>
#include <unordered_map>

#include "common/base/clock.h"
#include "common/transport/transport.h"

namespace furrow {

// A TokenBucket fills at `per_second` up to `most`; each Take removes one token and returns false if there is none.
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

  // Admits returns whether to handle a message of this peer, AdmitsProof whether to check a proof among them.
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
