// Defines time as the farm sees it. Code below `main` reads no clock: time comes in as `Now`.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <string>

namespace furrow {

using Duration = std::chrono::nanoseconds;

// A TimePoint is monotonic and serves leases, timeouts and waits. It means nothing outside the process that read it.
struct TimePoint {
  Duration since_start{};
  friend auto operator<=>(const TimePoint&, const TimePoint&) = default;
  friend TimePoint operator+(TimePoint t, Duration d) { return {t.since_start + d}; }
  friend TimePoint operator-(TimePoint t, Duration d) { return {t.since_start - d}; }
  friend Duration operator-(TimePoint a, TimePoint b) { return a.since_start - b.since_start; }
};

// A WallTime counts milliseconds since 1970 UTC. It serves people and records only, since the clock can jump. 0 means
// not known.
enum class WallTime : std::int64_t {};

struct Now {
  TimePoint mono;
  WallTime wall{};
};

// Formats `time` as "2026-07-01 12:00 UTC", for messages that people in several time zones read.
std::string FormatUtc(WallTime time);

class Clock {
 public:
  virtual ~Clock() = default;
  virtual Now Read() const = 0;
};

// Reads the machine's clocks (CLOCK_BOOTTIME, CLOCK_REALTIME). Only a `main` makes a SystemClock.
class SystemClock final : public Clock {
 public:
  Now Read() const override;
};

}  // namespace furrow
