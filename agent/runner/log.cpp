#include "agent/runner/log.h"

#include <unistd.h>

#include <ctime>
#include <string>

#include "common/base/text.h"

namespace furrow::runner {

void Log(std::string_view message) {
  const std::time_t now = std::time(nullptr);  // Only people read this time; no decision depends on the clock.
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  char stamp[32];
  const std::size_t size = std::strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%SZ ", &utc);
  std::string line(stamp, size);
  line += Plain(message);
  line += '\n';
  if (::write(STDERR_FILENO, line.data(), line.size()) < 0) return;  // A failure cannot be reported anywhere.
}

}  // namespace furrow::runner
