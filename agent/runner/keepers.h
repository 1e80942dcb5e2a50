// The runner's side of its keepers: gives each running job one, has it start the job's steps, and signals what is below
// it.
#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "agent/runner/keeper.h"
#include "agent/runner/process_tree.h"
#include "common/base/error.h"
#include "common/base/ids.h"

namespace furrow::runner {

struct KeeperEvent {
  enum class Kind {
    kSpawned,   // The step's program is executing: `leader`.
    kNotBegun,  // The step could not start: `error`.
    kOver,      // The step's first process has ended, with `status`.
    kAlone,     // No process of the job is left.
    kDied,      // The keeper was killed, with `status`; what it leaves behind is killed.
  };
  AttemptRef ref;
  Kind kind = Kind::kAlone;
  Leader leader;
  Error error{Errc::kInternal, ""};
  bool lease_out = false;  // The keeper has killed the job at the end of the lease.
  int status = 0;          // as wait4 has it
  std::uint64_t max_rss_bytes = 0;
  std::uint64_t cpu_us = 0;
};

class Keepers {
 public:
  // `arguments`: the memory of this program's arguments, over
  // which a keeper writes its own name, since people and programs find runners by their arguments.
  Keepers(const StepLimits& limits, std::pair<char*, std::size_t> arguments);
  ~Keepers();
  Keepers(const Keepers&) = delete;
  Keepers& operator=(const Keepers&) = delete;

  // Returns a descriptor that is readable while a keeper has something to say.
  int fd() const { return epoll_; }

  // Has the attempt's keeper start a step, as Spawner::Spawn does; kSpawned or kNotBegun answers. An error means that
  // there is no keeper, nor another one to be had.
  Status Spawn(const AttemptRef& ref, const std::vector<std::string>& argv, const std::vector<std::string>& env,
               const std::string& workspace, int output);

  // Reaps dead children. What a keeper said comes before its death.
  void Reap();
  // Reads what the keepers say. Returns everything that has happened, in order.
  std::vector<KeeperEvent> Take();

  // Returns whether no process of the attempt is left.
  bool Alone(const AttemptRef& ref);

  // Sends SIGTERM to every process of the attempt, and wakes the stopped ones. A process that begins later gets none:
  // what a handler of SIGTERM starts is to save something. All are stopped first, so that it is certain who is there.
  void TerminateAll(const AttemptRef& ref);
  // Sends SIGTERM to those of TerminateAll's processes that were between fork and exec and have come to their program
  // since: until exec a shell's handlers swallow the signal.
  void TerminateLate(const AttemptRef& ref);
  // Returns whether one of TerminateAll's processes is alive.
  bool TerminatedLive(const AttemptRef& ref);
  // Sends SIGKILL to every process of the attempt.
  void KillAll(const AttemptRef& ref);

  // Frees the keeper of an attempt that is over for the next one.
  void Release(const AttemptRef& ref);

  // Sets the time when the keepers kill what is left of their jobs. 0: never.
  void SetLeaseEnd(std::uint64_t kill_ns) { lease_->kill_ns.store(kill_ns); }

 private:
  struct Keeper {
    pid_t pid = 0;
    int socket = -1;
    std::optional<AttemptRef> ref;  // absent: the keeper is idle
    bool alone = true;
    bool asked = false;  // The keeper has yet to answer a request.
  };

  struct Terminated {
    Process process;
    bool unborn = false;  // It got SIGTERM between fork and exec.
  };

  Result<Keeper*> Find(const AttemptRef& ref);
  Result<Keeper*> Fork();
  bool Hear(Keeper& keeper);
  std::vector<Process> Below(const AttemptRef& ref) const;
  std::vector<Process> StopAll(const AttemptRef& ref);
  bool SignalAll(const AttemptRef& ref, int signal);
  bool KillOrphans();
  void Signal(const Process& process, int signal, bool& denied, bool& others);

  const StepLimits limits_;
  const std::pair<char*, std::size_t> arguments_;
  LeaseEnd* lease_;  // in shared memory
  int epoll_;
  Children children_;
  std::map<pid_t, Keeper> keepers_;
  std::set<AttemptRef> bereft_;  // attempts whose keeper has died
  std::map<AttemptRef, std::vector<Terminated>> terminated_;
  std::map<pid_t, std::uint64_t> not_ours_;  // start of each process that we may not signal
  std::vector<KeeperEvent> events_;
  KeeperWord word_;
};

}  // namespace furrow::runner
