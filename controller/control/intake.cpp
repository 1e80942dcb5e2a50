#include "controller/control/intake.h"

#include <algorithm>
#include <chrono>

namespace furrow {

bool Intake::Admits(TimePoint now, const Identity& who, std::size_t bytes) {
  const auto [entry, is_new] = buckets_.try_emplace(who, Bucket{limits_.burst_bytes, now});
  Bucket& bucket = entry->second;
  const std::chrono::duration<double> passed = now - bucket.filled;
  bucket.filled = now;
  bucket.bytes = std::min(limits_.burst_bytes, bucket.bytes + passed.count() * limits_.bytes_a_second);
  const double cost = std::max(limits_.frame_bytes, static_cast<double>(bytes));
  if (bucket.bytes < cost) return false;
  bucket.bytes -= cost;
  return true;
}

}  // namespace furrow
