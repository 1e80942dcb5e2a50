#include "common/base/clock_skew.h"

#include <cstdio>
#include <cstdlib>

namespace furrow {

std::string SkewWords(std::int64_t ahead_ms) {
  const std::int64_t ms = std::abs(ahead_ms);
  char amount[32];
  if (ms < 10'000)
    std::snprintf(amount, sizeof(amount), "%.1f s", static_cast<double>(ms) / 1000);
  else if (ms < 120'000)
    std::snprintf(amount, sizeof(amount), "%lld s", static_cast<long long>(ms / 1000));
  else if (ms < 7'200'000)
    std::snprintf(amount, sizeof(amount), "%lld min", static_cast<long long>(ms / 60'000));
  else
    std::snprintf(amount, sizeof(amount), "%lld h", static_cast<long long>(ms / 3'600'000));
  return std::string(amount) + (ahead_ms < 0 ? " behind" : " ahead of");
}

}  // namespace furrow
