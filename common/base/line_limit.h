// A LineLimit decides which lines of a log are written when the same thing goes wrong again and again: the first ones
// are, the others are counted, and one line tells their number when the period is over. A peer that sends rubbish as
// fast as it can thus fills no disk, and hides nothing that others do.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace furrow::log {

class LineLimit {
 public:
  using Time = std::chrono::steady_clock::time_point;

  static constexpr std::chrono::minutes kPeriod{10};
  static constexpr unsigned kLinesOfASite = 100;  // all that one place in the code writes in a period
  static constexpr std::size_t kShownBytes = 400;

  // Returns whether the line `text` is to be written. In a period that begins with the first line of `site`, a place in
  // the code, `most` lines about `subject` are.
  bool Admits(Time now, const void* site, std::string_view subject, std::string_view text, unsigned most);
  // Returns a line for all that was kept back in a period that is over, or in any.
  std::vector<std::string> TakeCounts(Time now, bool all = false);
  // Returns when the next period is over; Time::max(): nothing was kept back.
  Time NextDue() const { return next_due_; }

 private:
  struct Subject {
    std::uint64_t written = 0, kept_back = 0;
    std::string text;  // that of the first line
  };
  struct Site {
    Time began;
    std::uint64_t written = 0, kept_back = 0;  // kept_back: lines about subjects that came when the site was full
    std::string text;                          // the first that was kept back so
    std::unordered_map<std::string, Subject> subjects;
  };
  std::unordered_map<const void*, Site> sites_;  // as many as the code has
  Time next_due_ = Time::max();
};

}  // namespace furrow::log
