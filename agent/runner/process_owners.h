// Which of the runner's descendants belong to which job.
//
// What descends from a job's leader is the job's. An orphan (a child of ours that we did not start) is known by its
// session, its token, its working directory or its output. One that has shed all four is suspected of every job that
// was running when it was first seen and had begun before it; it is killed with the last of these jobs.
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
  // From now on what belongs to the job (or to jobs that all end) counts as its members.
  void SetEnding(const AttemptRef& ref);
  void RemoveJob(const AttemptRef& ref);

  // Must hear of every child that was reaped, before the next question. Returns the job whose leader it was, if any.
  std::optional<AttemptRef> OnReaped(pid_t pid);

  // Whether a process of an ending job is alive, its leader aside. One read of /proc if there are no orphans.
  bool HasOrphans(const AttemptRef& ref);

  // Sends SIGTERM to every living process of an ending job that has not had it from us; wakes those that are stopped.
  // A process that was caught between fork and exec, where a shell's handlers swallow a signal, has it again.
  void TerminateAll(const AttemptRef& ref) { SignalAll(ref, SIGTERM); }
  // Sends SIGKILL to every living process of an ending job.
  void KillAll(const AttemptRef& ref) { SignalAll(ref, SIGKILL); }

 private:
  struct Job {
    std::string token;
    std::string workspace;
    std::string spool;
    std::uint64_t since = 0;      // ticks: nothing that started earlier is the job's
    std::vector<Leader> leaders;  // one for each step so far
    bool ending = false;
  };
  struct Known {
    std::uint64_t start = 0;                    // ticks: tells it from a later process of the same pid
    std::set<AttemptRef> suspects;              // one: the owner is certain
    std::optional<std::uint64_t> terminated{};  // the image that has had SIGTERM
    bool denied = false;                        // beyond our reach: not waited for
  };

  void SignalAll(const AttemptRef& ref, int signal);
  void Signal(const AttemptRef& ref, const Process& process, const std::set<AttemptRef>& suspects, int signal);
  void Look();
  std::set<AttemptRef> SuspectsOf(const Process& process) const;
  bool Dooms(const Known& known, const AttemptRef& ref) const;

  Children children_;
  std::map<AttemptRef, Job> jobs_;
  std::map<pid_t, AttemptRef> leaders_;  // alive or not yet reaped
  std::map<pid_t, Known> known_;         // orphans, and what was seen below a job that was being killed
  std::vector<Process> orphans_;         // our children at the last Look, without leaders and the dead
};

}  // namespace furrow::runner
