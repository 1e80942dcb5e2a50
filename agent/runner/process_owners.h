// Finds the job of each of the runner's descendants.
//
// A descendant of a job's leader belongs to the job. An orphan (a child that the runner did not start) is recognised by
// its session, its token, its working directory or its output. An orphan without these four marks may belong to each
// job that was running at its first sight and had begun before the orphan, and is killed with the last of these jobs.
#pragma once

#include <signal.h>

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/runner/process_tree.h"
#include "common/base/ids.h"

namespace furrow::runner {

class ProcessOwners {
 public:
  void AddJob(const AttemptRef& ref, std::string token, std::string workspace, std::string spool);
  void AddLeader(const AttemptRef& ref, const Leader& leader);
  // Marks the job as ending. A process counts as a member of an ending job if all its possible jobs are ending.
  void SetEnding(const AttemptRef& ref);
  void RemoveJob(const AttemptRef& ref);

  // Takes in a reaped child; the caller reports every one before the next question. Returns the job whose leader the
  // child was; nullopt: none.
  std::optional<AttemptRef> OnReaped(pid_t pid);

  // Returns whether a process of an ending job other than its leader is alive. Without orphans the call costs one read
  // in /proc.
  bool HasOrphans(const AttemptRef& ref);

  // Sends SIGTERM to every living process of an ending job, once for each program that the process executes, and wakes
  // stopped processes. The next program needs the signal, since a shell's handlers swallow a signal between fork and
  // exec.
  void TerminateAll(const AttemptRef& ref) { SignalAll(ref, SIGTERM); }
  // Sends SIGKILL to every living process of an ending job.
  void KillAll(const AttemptRef& ref) { SignalAll(ref, SIGKILL); }

 private:
  struct Job {
    std::string token;
    std::string workspace;
    std::string spool;
    std::uint64_t since = 0;      // ticks; no process of the job started earlier
    std::vector<Leader> leaders;  // one for each step so far
    bool ending = false;
  };
  struct Known {
    std::uint64_t start = 0;                    // ticks; a later process of the same pid has another start
    std::set<AttemptRef> suspects;              // possible jobs; one: the owner is certain
    std::optional<std::uint64_t> terminated{};  // image that has received SIGTERM
    bool denied = false;                        // The runner may not signal the process and does not wait for its end.
  };

  void SignalAll(const AttemptRef& ref, int signal);
  void Signal(const AttemptRef& ref, const Process& process, const std::set<AttemptRef>& suspects, int signal);
  void Look();
  std::set<AttemptRef> SuspectsOf(const Process& process) const;
  bool Dooms(const Known& known, const AttemptRef& ref) const;

  Children children_;
  std::map<AttemptRef, Job> jobs_;
  std::map<pid_t, AttemptRef> leaders_;  // leaders that are not reaped yet
  std::map<pid_t, Known> known_;         // orphans and all processes that were signalled
  std::vector<Process> orphans_;         // the runner's children at the last Look, without leaders and the dead
};

}  // namespace furrow::runner
