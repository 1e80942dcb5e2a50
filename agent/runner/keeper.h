// Is the parent of a job's steps: a child of the runner, one for each running job.
//
// A keeper is a subreaper, so every process of its job stays below it, whatever session, environment or output the
// process takes. The keeper waits for the steps and tells the runner how they end. It kills all that is below it when
// the runner dies, or when the lease is over and the runner has not ended the job: a stopped runner cannot. So a job
// outlives neither its runner nor the lease, with nobody left to start another runner.
//
// What a job does to its parent (`kill $PPID`) costs that job alone: a keeper blocks every signal that can be blocked,
// the runner wakes a stopped keeper, and a killed keeper ends its own job.
#pragma once

#include <sys/resource.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "agent/runner/process_tree.h"
#include "common/base/error.h"

namespace furrow::runner {

// Lies in memory that the runner shares with its keepers.
struct LeaseEnd {
  std::atomic<std::uint64_t> kill_ns{0};  // time of Clock when no process of a job may be left; 0: no limit
};

// What a keeper tells the runner. Both are one program, so the bytes need no format.
struct KeeperWord {
  enum class Kind : std::uint8_t {
    kSpawned,   // leader
    kNotBegun,  // code, text: why the step could not start
    kOver,      // status and what it used: the step's first process has ended
    kAlone,     // The last process below the keeper has ended.
  };
  Kind kind = Kind::kAlone;
  bool alone = false;      // kOver: no process is left below the keeper
  bool lease_out = false;  // The keeper has killed the job at the end of the lease.
  Errc code = Errc::kInternal;
  Leader leader;
  int status = 0;
  std::uint64_t max_rss_bytes = 0;
  std::uint64_t cpu_us = 0;
  std::size_t text_bytes = 0;
  std::array<char, 4096> text{};
};

// What steps have of what the agent was started with.
struct StepLimits {
  rlimit open_files{};
  mode_t umask = 022;
};

// A request is its length as 8 bytes and its body, in packets of this size but for the last. The first packet brings
// the output's descriptor.
inline constexpr std::size_t kKeeperPacketBytes = 64u << 10;

// Serves the runner at the other end of `socket` (SOCK_SEQPACKET) until it closes its end. The caller is a new child of
// the runner.
[[noreturn]] void Keep(int socket, const LeaseEnd& lease, const StepLimits& limits);

}  // namespace furrow::runner
