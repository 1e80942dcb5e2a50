#include "common/base/clock.h"

namespace furrow {

Now SystemClock::Read() const {
  using std::chrono::duration_cast;
  return {
      TimePoint{duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch())},
      WallTime{duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count()}};
}

}  // namespace furrow
