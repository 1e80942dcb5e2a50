// The attempts of this machine: what is asked, what happens to their processes, what is told.
//
// One turn of the loop calls, in this order: OnChildren, the requests, OnTimers; Spawn; Commit; (events are sent);
// Spawn; Commit; (events are sent). So a start is on disk before its process exists, an end is on disk before anyone is
// told, and one write serves a whole turn. Only the loop's thread; time comes in as `now`.
#pragma once

#include <sys/resource.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/runner/journal.h"
#include "agent/runner/process_owners.h"
#include "agent/runner/protocol.h"
#include "agent/runner/spawn.h"
#include "common/base/clock.h"

namespace furrow::runner {

class Executor {
 public:
  // Both are the caller's and outlive this. No entry of the table may be running (see recovery.h).
  Executor(Table& table, Journal& journal);
  ~Executor();
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  // Reaps every dead child: goes on to the next step, or ends the attempt.
  void OnChildren(Now now);
  void OnStart(Now now, Start start);
  void OnKill(Now now, const Kill& kill);
  void OnForget(const Forget& forget);
  void OnShutdown(Now now, bool kill_jobs, const std::string& reason);
  void OnLease(const Lease& lease);
  // Timeouts, quotas, the lease, and the next stage of every attempt that is being ended.
  void OnTimers(Now now);

  // Writes the journal. Starts that could not be written are refused: their Exited says why.
  void Commit(Now now);
  // Starts the processes of the steps that are due, except those of starts that Commit has yet to write.
  void Spawn(Now now);

  // What clients are to be told, in order; empty afterwards.
  std::vector<Frame> TakeEvents() { return std::exchange(events_, {}); }
  std::vector<Attempt> List() const;

  // When OnTimers wants to be called next.
  std::optional<TimePoint> NextDeadline() const;
  bool idle() const { return jobs_.empty(); }
  bool shutting_down() const { return shutting_down_; }

 private:
  enum class Phase {
    kHeld,         // waits for the end of another attempt: Start::after
    kDue,          // the next step waits for Spawn
    kRunning,      // a step runs
    kSettling,     // the steps are over; processes left behind may end by themselves
    kTerminating,  // SIGTERM is sent, to each process once
    kKilling,      // SIGKILL is sent until none is left
  };
  struct Job {
    Start start;
    Phase phase = Phase::kDue;
    std::size_t step = 0;
    pid_t leader = 0;  // of the step that runs; 0: none, or reaped
    int spool = -1;
    TimePoint began;
    std::optional<TimePoint> deadline;  // of the phase
    std::optional<TimePoint> timeout;
    std::optional<TimePoint> quota_check;
    Duration quota_interval{};
    TimePoint grace_end;            // of kTerminating
    Duration sweep_interval{};      // of kTerminating and kKilling: until the next look for processes
    std::uint64_t spool_bytes = 0;  // at the last quota check
    Outcome outcome;                // once the phase is kSettling or later
    std::string last_words;         // the furrow: line; empty: none
    std::uint64_t max_rss_bytes = 0;
    std::uint64_t cpu_us = 0;
  };
  using Jobs = std::map<AttemptRef, Job>;

  void Release(const AttemptRef& ref);
  void ReleaseHeirs(const AttemptRef& ref);
  void OnLeaderExit(Now now, Jobs::iterator it, int status, const rusage& usage);
  Status SpawnStep(Now now, const AttemptRef& ref, Job& job);
  void FailStart(Now now, const AttemptRef& ref, Job& job, const std::string& why);
  void EndAll(Now now, OutcomeKind kind, const std::string& reason);
  void CheckQuota(Now now, const AttemptRef& ref, Job& job);

  // executor_ending.cpp
  void End(Now now, const AttemptRef& ref, Job& job, Outcome outcome, std::string last_words, Duration grace);
  void Escalate(Now now, const AttemptRef& ref, Job& job);
  void Terminate(Now now, const AttemptRef& ref, Job& job, Duration grace);
  void KillAll(Now now, const AttemptRef& ref, Job& job);
  void FinishIfDead(Now now, const AttemptRef& ref);
  void Finish(Now now, const AttemptRef& ref);
  void Refuse(Now now, const AttemptRef& ref, const std::string& why);

  Table& table_;
  Journal& journal_;
  Spawner spawner_;
  ProcessOwners owners_;
  Jobs jobs_;                                                 // those that run
  std::map<AttemptRef, std::vector<AttemptRef>> successors_;  // attempt → those held until it is over
  std::vector<AttemptRef> due_;                               // in order
  std::vector<AttemptRef> uncommitted_;                       // accepted in this turn
  std::vector<Frame> events_;
  std::string token_base_;
  std::uint64_t boot_;
  std::optional<TimePoint> lease_;  // what runs then is ended; empty: none, or it has run out
  bool shutting_down_ = false;
};

}  // namespace furrow::runner
