// An Intake says how much of what a peer sends on the control channel is read. Reading a frame costs the loop time, and
// frames may be large, so a key that sends without end would stall all others. Who keeps to the protocol stays far
// below.
#pragma once

#include <cstddef>
#include <map>

#include "common/base/clock.h"
#include "common/transport/transport.h"

namespace furrow {

struct IntakeLimits {
  double burst_bytes = 64.0 * (1 << 20);
  double bytes_a_second = 16.0 * (1 << 20);
  double frame_bytes = 256;  // what reading the smallest frame costs
};

class Intake {
 public:
  explicit Intake(IntakeLimits limits = {}) : limits_(limits) {}

  // Returns whether a frame of this size is read now; a frame that is not counts as lost on the way.
  bool Admits(TimePoint now, const Identity& who, std::size_t bytes);

 private:
  struct Bucket {
    double bytes = 0;
    TimePoint filled;
  };
  const IntakeLimits limits_;
  std::map<Identity, Bucket> buckets_;  // one for each key of the allowlist at most
};

}  // namespace furrow
