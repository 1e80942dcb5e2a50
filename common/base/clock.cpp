#include "common/base/clock.h"

#include <array>
#include <ctime>

namespace furrow {

std::string FormatUtc(WallTime time) {
  const std::time_t seconds = static_cast<std::int64_t>(time) / 1000;
  std::tm utc{};
  ::gmtime_r(&seconds, &utc);
  std::array<char, 40> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M UTC", &utc);
  return text.data();
}

Now SystemClock::Read() const {
  using std::chrono::duration_cast;
  std::timespec boot{};
  ::clock_gettime(CLOCK_BOOTTIME,
                  &boot);  // It goes on while the machine sleeps, as the controller's side of a lease does.
  return {
      TimePoint{std::chrono::seconds(boot.tv_sec) + Duration{boot.tv_nsec}},
      WallTime{duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count()}};
}

}  // namespace furrow
