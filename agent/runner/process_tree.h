// Reads processes and their descent from /proc, and sends a signal to exactly the process that was read.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace furrow::runner {

// Names the first process of a step until the next boot, by its pid and its start: a later process of the same pid
// starts later. The start is known within a tick or two without a read of /proc.
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
  char state = '?';         // 'Z': dead and not reaped yet
  std::uint64_t start = 0;  // clock ticks since boot
  std::uint64_t image = 0;  // address of the stack, which changes with an exec
};

// Returns the present time in clock ticks since boot, as /proc/PID/stat counts starts.
std::uint64_t TicksSinceBoot();

// Returns a number that changes with each boot, from the kernel's boot_id. 0: boot_id is not readable.
std::uint64_t BootIdentity();

// Reads one process. nullopt: there is no such process any more.
std::optional<Process> ReadProcess(pid_t pid);
std::vector<Process> ReadAllProcesses();

// Returns what the tokens of all jobs of a state folder have in common, and no other folder's. The working directory is
// the state folder.
std::string StateMark();

// Returns FURROW_TOKEN from the environment at the start of the process; empty: none, or not readable.
std::string TokenOf(pid_t pid);

// Returns the processes of `all` that descend from `root`, living or dead, without `root` itself.
std::vector<Process> DescendantsOf(pid_t root, const std::vector<Process>& all);

// Returns whether `process` descends from `root`. nullopt: it, or one between the two, has ended.
std::optional<bool> IsBelow(pid_t process, pid_t root);

// Returns whether a signal to this process, from the process `sender` of the user `user`, can be a job's, jobs being
// the descendants of `runner`. Nobody can tell whose process a sender was that has ended: with `busy`, jobs that run,
// it counts as one of theirs, unless it was another user's (jobs have this process's own) or is `parent`, whose death
// signal comes from it.
bool MayBeAJobs(pid_t sender, uid_t user, pid_t runner, pid_t parent, bool busy);

enum class Signalled { kSent, kGone, kDenied };

// Sends `signal` to exactly the process that was read, never to a later process of the same pid. kDenied: the process
// changed its user (a set-uid program), so that the runner may not signal the process.
Signalled SignalExactly(const Process& process, int signal);

// Kills the processes that an attempt of a dead runner has left behind: the session leaders, their sessions, all
// processes with the token, and the descendants of all these. Blocks until they are dead, at most `patience_ms`.
// Returns how many are still alive.
std::size_t KillLeftBehind(const std::vector<Leader>& leaders, std::string_view token, int patience_ms);

// A process that an earlier runner of the state folder has left behind.
struct Stray {
  Process process;
  std::string token;   // empty: the process has none, but descends from one of the folder's
  std::string output;  // the file that is its stdout
};

// Returns the processes of earlier runners of the working directory, by their tokens, and all below them and below
// keepers of this folder. They are found without a journal.
std::vector<Stray> FindStrays();

// Kills the strays until none is found, at most for `patience_ms`. Returns those that were found, living or dead now.
std::vector<Stray> KillStrays(int patience_ms);

// Lists the children of this process, in most cases with one read. Only the thread of the constructor may use the
// object.
class Children {
 public:
  Children();
  ~Children();
  Children(const Children&) = delete;
  Children& operator=(const Children&) = delete;

  // Returns the pids of the children, including dead ones that are not reaped yet.
  std::vector<pid_t> Read();

 private:
  int fd_;  // /proc/thread-self/children; -1: the kernel lacks the file, and Read looks at all of /proc.
};

}  // namespace furrow::runner
