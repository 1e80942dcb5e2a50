// Processes as /proc shows them: who descends from whom, and a signal that reaches exactly the process meant.
//
// The runner is a subreaper, so while it lives every process of every job descends from it: a process whose parent
// dies becomes a child of the runner, whatever sessions, groups or environments it changed. What can be unknown about
// such an orphan is only which job it came from.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace furrow::runner {

// The first process of a step. Its start is known within a tick or two without asking /proc, and together with the pid
// names it until the next boot: a later process of the same pid starts later.
struct Leader {
  pid_t pid = 0;
  std::uint64_t earliest = 0;  // clock ticks since boot, as in /proc/PID/stat
  std::uint64_t latest = 0;
  friend bool operator==(const Leader&, const Leader&) = default;
};

struct Process {
  pid_t pid = 0;
  pid_t parent = 0;
  pid_t session = 0;
  char state = '?';         // 'Z': dead, waiting to be reaped
  std::uint64_t start = 0;  // clock ticks since boot
  std::uint64_t image = 0;  // another number after an exec: where its stack was put
};

// Now, in the ticks that /proc/PID/stat counts starts in.
std::uint64_t TicksSinceBoot();

// A number that is another one after each boot (from the kernel's boot_id). 0: not readable.
std::uint64_t BootIdentity();

// Nothing: there is no such process (any more).
std::optional<Process> ReadProcess(pid_t pid);
std::vector<Process> ReadAllProcesses();

// The FURROW_TOKEN in the environment that the process was started with; empty: none, or not readable.
std::string TokenOf(pid_t pid);

// Whether its working directory lies in `folder`, or its stdout or stderr is the file `spool`.
bool UsesFiles(pid_t pid, std::string_view folder, std::string_view spool);

// Those of `all` that descend from `root` (itself not included), living or dead.
std::vector<Process> DescendantsOf(pid_t root, const std::vector<Process>& all);

enum class Signalled { kSent, kGone, kDenied };

// Sends `signal` to the very process that was read, never to another that got its pid since. kDenied: it changed its
// user (a set-uid program) and is beyond our reach.
Signalled SignalExactly(const Process& process, int signal);

// Kills what an attempt of a runner that died has left behind: the session leaders, their sessions, everything that
// carries the token, and the descendants of all these. Blocks until they are dead, at most `patience_ms`. Returns how
// many are still there.
std::size_t KillLeftBehind(const std::vector<Leader>& leaders, std::string_view token, int patience_ms);

// Lists the children of the calling thread's process, in one read in most cases. One thread only: the one that made it.
class Children {
 public:
  Children();
  ~Children();
  Children(const Children&) = delete;
  Children& operator=(const Children&) = delete;

  // The pids of our children, dead ones not yet reaped included.
  std::vector<pid_t> Read();

 private:
  int fd_;  // /proc/thread-self/children, or -1 where the kernel lacks it: then all of /proc is looked at
};

}  // namespace furrow::runner
