// Runs the attempts of this machine: takes the requests, controls the processes and produces the events.
//
// One turn of the loop calls OnKeepers and the requests' handlers in the order of arrival, then OnTimers, Spawn and
// Commit, sends the events, calls Spawn and Commit again, and sends the events again. So a start is on disk before its
// process exists, an end is on disk before a client hears of the end, and one write serves all requests of a turn. Only
// the loop's thread uses an Executor; time comes in as `now`.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/runner/ending_words.h"
#include "agent/runner/journal.h"
#include "agent/runner/keepers.h"
#include "agent/runner/output.h"
#include "agent/runner/protocol.h"
#include "common/base/clock.h"

namespace furrow::runner {

class Executor {
 public:
  // The caller owns the table, the journal and the keepers, which outlive the executor. No entry of the table may be
  // running (see agent/runner/recovery.h).
  Executor(Table& table, Journal& journal, Keepers& keepers);
  ~Executor();
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  // Reaps dead children; OnKeepers tells what follows from it.
  void OnChildren() { keepers_.Reap(); }
  // Hears the keepers, and begins the next step or ends the attempt.
  void OnKeepers(Now now);
  void OnStart(Now now, Start start);
  void OnKill(Now now, const Kill& kill);
  void OnForget(const Forget& forget);
  void OnShutdown(Now now, bool kill_jobs, const std::string& reason);
  void OnLease(const Lease& lease);
  // Becomes readable when OnOutputs is due: it ends the jobs of whose output bytes were lost.
  int outputs_fd() const { return outputs_.fd(); }
  void OnOutputs(Now now);
  // Enforces timeouts, quotas and the lease, and begins the next stage of every attempt that is being ended.
  void OnTimers(Now now);

  // Writes the journal. A start that cannot be written is refused: its Exited says why.
  void Commit(Now now);
  // Starts the processes of the steps that are due, except those of starts that Commit has yet to write.
  void Spawn(Now now);

  // Returns the events for the clients, in order, and keeps none.
  std::vector<Frame> TakeEvents() { return std::exchange(events_, {}); }
  std::vector<Attempt> List() const;

  // Returns when OnTimers is due next; nullopt: never.
  std::optional<TimePoint> NextDeadline() const;
  bool idle() const { return jobs_.empty(); }
  bool incomplete() const { return journal_.incomplete(); }
  bool shutting_down() const { return shutting_down_; }

 private:
  enum class Phase {
    kHeld,         // The attempt waits for the end of another attempt: Start::after.
    kDue,          // The next step waits for Spawn.
    kRunning,      // A step runs.
    kSettling,     // The steps are over; processes left behind may end by themselves.
    kTerminating,  // SIGTERM was sent, once.
    kKilling,      // SIGKILL is sent until no process is left.
  };
  static constexpr pid_t kUnborn = -1;  // Its keeper was told to start it, and will say that it has or could not.
  struct Job {
    Start start;
    Phase phase = Phase::kDue;
    std::size_t step = 0;
    pid_t leader = 0;  // first process of the running step; 0: none, or over; kUnborn: not heard of yet
    int spool = -1;
    std::shared_ptr<Output> output;  // the pipe into the spool
    TimePoint began;
    std::optional<TimePoint> deadline;  // end of the phase or of its next sweep
    std::optional<TimePoint> timeout;
    std::optional<TimePoint> quota_check;
    Duration quota_interval{};
    TimePoint grace_end;            // end of kTerminating
    Duration sweep_interval{};      // kTerminating, kKilling: time until the next look for processes
    std::uint64_t spool_bytes = 0;  // length at the last quota check
    Outcome outcome;                // valid from kSettling on
    std::string last_words;         // text of the `furrow:` line; empty: none
    std::uint64_t oom_kills = 0;    // OomCounter at the start of the job
    std::uint64_t max_rss_bytes = 0;
    std::uint64_t cpu_us = 0;
  };
  using Jobs = std::map<AttemptRef, Job>;

  void Release(const AttemptRef& ref);
  void ReleaseHeirs(const AttemptRef& ref);
  void OnSpawned(Now now, const AttemptRef& ref, Job& job, const Leader& leader);
  void OnStepOver(Now now, const AttemptRef& ref, Job& job, const KeeperEvent& event);
  void OnKeeperDied(Now now, const AttemptRef& ref, Job& job, int status);
  Status SpawnStep(Now now, const AttemptRef& ref, Job& job);
  void FailStart(Now now, const AttemptRef& ref, Job& job, const std::string& why);
  void EndAll(Now now, OutcomeKind kind, const std::string& reason, Duration most);
  void CheckQuota(Now now, const AttemptRef& ref, Job& job);

  // agent/runner/executor_ending.cpp defines these.
  void End(Now now, const AttemptRef& ref, Job& job, Outcome outcome, std::string last_words, Duration grace);
  void Escalate(Now now, const AttemptRef& ref, Job& job);
  void Terminate(Now now, const AttemptRef& ref, Job& job, Duration grace);
  void KillAll(Now now, const AttemptRef& ref, Job& job);
  void FinishIfDead(Now now, const AttemptRef& ref);
  void Finish(Now now, const AttemptRef& ref);
  void Explain(Now now, Job& job);
  void Refuse(Now now, const AttemptRef& ref, const std::string& why);

  Table& table_;
  Journal& journal_;
  Keepers& keepers_;
  OomCounter oom_;
  Outputs outputs_;
  Jobs jobs_;                                                 // attempts that have not exited
  std::map<AttemptRef, std::vector<AttemptRef>> successors_;  // attempt → attempts that are held until its end
  std::vector<AttemptRef> due_;                               // attempts in phase kDue, in order
  std::vector<AttemptRef> uncommitted_;                       // attempts whose start Commit has yet to write
  std::vector<Frame> events_;
  const std::string mark_;  // what the tokens of all jobs have in common
  std::uint64_t boot_;
  std::optional<TimePoint> lease_;  // time when all jobs are ended; absent: no lease, or the lease has run out
  TimePoint lease_kill_;            // time when none of their processes may be left; valid with lease_
  bool shutting_down_ = false;
};

}  // namespace furrow::runner
