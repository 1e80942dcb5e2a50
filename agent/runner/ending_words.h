// Says in words how a step ended whose exit status or signal alone says little, with the next thing to do.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "agent/runner/protocol.h"
#include "common/base/clock.h"

namespace furrow::runner {

// What is known of a job that has ended.
struct Ending {
  Outcome outcome;                  // kExited or kSignaled
  std::string_view log_tail;        // the last lines of its output
  std::string_view workspace;       // its folder, where a script that a shell names may be looked at
  std::uint64_t oom_kills = 0;      // processes that the kernel has killed on this machine for want of memory meanwhile
  std::uint64_t max_rss_bytes = 0;  // resident memory of the job's largest process
};

// What EndInWords says of a program without words of its own that failed where some disk had no room. The agent looks
// for this text: see agent/reactor/jobs.cpp.
inline constexpr const char* kNoRoom =
    "a disk of this agent had no room, as the log's last lines say (`df -h`, `df -i`, quotas; /dev/shm is one, too)";

// Returns one sentence or two; empty: the exit status is the program's own and needs no words.
std::string EndInWords(const Ending& ending);

// Counts the processes that the kernel has killed for want of memory: those of this process's control group, or where
// that has no count, those of the machine.
class OomCounter {
 public:
  OomCounter();
  // Returns the count. A count that is younger than a second is not read again unless `fresh`.
  std::uint64_t Read(TimePoint now, bool fresh);

 private:
  std::string file_;
  std::uint64_t count_ = 0;
  std::optional<TimePoint> read_;
};

}  // namespace furrow::runner
