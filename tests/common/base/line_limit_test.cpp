#include "common/base/line_limit.h"

#include <string>

#include <doctest/doctest.h>

namespace furrow::log {
namespace {

const char kHere[] = "here", kThere[] = "there";
const LineLimit::Time kNow{std::chrono::hours(1)};

TEST_CASE("line limit: what is said of a subject again is counted, and told when the time is over") {
  LineLimit limit;
  CHECK(limit.Admits(kNow, kHere, "gpu-1", "gpu-1 sends rubbish: byte 3", 1));
  for (int i = 0; i < 1000; ++i) CHECK_FALSE(limit.Admits(kNow, kHere, "gpu-1", "gpu-1 sends rubbish: byte 4", 1));
  CHECK(limit.Admits(kNow, kHere, "gpu-2", "gpu-2 sends rubbish", 1));
  CHECK(limit.Admits(kNow, kThere, "gpu-1", "gpu-1 reads nothing", 1));

  CHECK(limit.NextDue() == kNow + LineLimit::kPeriod);
  CHECK(limit.TakeCounts(kNow + std::chrono::minutes(9)).empty());
  const auto told = limit.TakeCounts(kNow + LineLimit::kPeriod);
  REQUIRE(told.size() == 1);
  CHECK(told[0] == "gpu-1 sends rubbish: byte 3 (this happened 1000 more times)");
  CHECK(limit.NextDue() == LineLimit::Time::max());
  CHECK(limit.Admits(kNow + LineLimit::kPeriod, kHere, "gpu-1", "gpu-1 sends rubbish: byte 5", 1));
}

TEST_CASE("line limit: a line that comes now and then is always written") {
  LineLimit limit;
  auto now = kNow;
  for (int i = 0; i < 50; ++i, now += std::chrono::minutes(4)) CHECK(limit.Admits(now, kHere, "away", "away", 5));
  CHECK(limit.TakeCounts(now).empty());
}

TEST_CASE("line limit: any number of subjects write a hundred lines, and memory is bounded") {
  LineLimit limit;
  int written = 0;
  for (int i = 0; i < 100'000; ++i) {
    const std::string key = "key " + std::to_string(i);
    written += limit.Admits(kNow, kHere, key, key + " is unknown" + std::string(5000, '!'), 1);
  }
  CHECK(written == LineLimit::kLinesOfASite);
  const auto told = limit.TakeCounts(kNow, /*all=*/true);
  REQUIRE(told.size() == 1);
  CHECK(told[0].find("key 100 is unknown") == 0);
  CHECK(told[0].find("(and the like 99899 more times)") != std::string::npos);
  CHECK(told[0].size() < 600);
}

TEST_CASE("line limit: nothing is forgotten when a line comes after the time is over") {
  LineLimit limit;
  limit.Admits(kNow, kHere, "a", "a", 1);
  limit.Admits(kNow, kHere, "a", "a", 1);
  const auto later = kNow + 2 * LineLimit::kPeriod;
  limit.Admits(later, kHere, "a", "a", 1);
  const auto told = limit.TakeCounts(later);
  REQUIRE(told.size() == 1);
  CHECK(told[0] == "a (this happened 2 more times)");
}

}  // namespace
}  // namespace furrow::log
