#include "controller/control/intake.h"

#include <chrono>

#include <doctest/doctest.h>

namespace furrow {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const Identity kOne{Role::kAgent, "one"}, kTwo{Role::kAgent, "two"};
const TimePoint kStart{std::chrono::hours(1)};

TEST_CASE("intake: who sends without end gets its rate, and nobody else is touched") {
  Intake intake({.burst_bytes = 1000, .bytes_a_second = 100, .frame_bytes = 1});
  CHECK(intake.Admits(kStart, kOne, 600));
  CHECK(intake.Admits(kStart, kOne, 400));
  CHECK_FALSE(intake.Admits(kStart, kOne, 1));
  CHECK(intake.Admits(kStart, kTwo, 1000));

  std::size_t read = 0;
  for (int i = 1; i <= 1000; ++i)
    for (int frame = 0; frame < 10; ++frame) read += intake.Admits(kStart + milliseconds(10 * i), kOne, 7) ? 7 : 0;
  CHECK(read <= 1000);
  CHECK(read > 950);
}

TEST_CASE("intake: a pause fills it to the burst and no further, and small frames cost something") {
  Intake intake({.burst_bytes = 1000, .bytes_a_second = 100, .frame_bytes = 50});
  CHECK(intake.Admits(kStart, kOne, 1000));
  const TimePoint later = kStart + seconds(1000);
  for (int i = 0; i < 20; ++i) CHECK(intake.Admits(later, kOne, 0));
  CHECK_FALSE(intake.Admits(later, kOne, 0));
}

TEST_CASE("intake: an agent and a client of the same name are two") {
  Intake intake({.burst_bytes = 10, .bytes_a_second = 1, .frame_bytes = 1});
  CHECK(intake.Admits(kStart, {Role::kAgent, "ann"}, 10));
  CHECK(intake.Admits(kStart, {Role::kClient, "ann"}, 10));
}

}  // namespace
}  // namespace furrow
