// Time as the farm sees it. Nothing below `main` reads a clock: time comes in as `Now`.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <string>

namespace furrow {

using Duration = std::chrono::nanoseconds;

// Monotonic; for leases, timeouts and waits. Means nothing outside the process that read it.
struct TimePoint {
  Duration since_start{};
  friend auto operator<=>(const TimePoint&, const TimePoint&) = default;
  friend TimePoint operator+(TimePoint t, Duration d) { return {t.since_start + d}; }
  friend TimePoint operator-(TimePoint t, Duration d) { return {t.since_start - d}; }
  friend Duration operator-(TimePoint a, TimePoint b) { return a.since_start - b.since_start; }
};

// Milliseconds since 1970 UTC; for people and records only, since it can jump. 0 means not known.
enum class WallTime : std::int64_t {};

struct Now {
  TimePoint mono;
  WallTime wall{};
};

// "2026-07-01 12:00 UTC", for words that are read in several places of the world.
std::string FormatUtc(WallTime time);

class Clock {
 public:
  virtual ~Clock() = default;
  virtual Now Read() const = 0;
};

// The machine's clocks (CLOCK_MONOTONIC, CLOCK_REALTIME). Only a `main` makes one.
class SystemClock final : public Clock {
 public:
  Now Read() const override;
};

}  // namespace furrow
