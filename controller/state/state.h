// What is true now on the controller. Public values, their own invariants, no knowledge of messages,
// sockets, disks or clocks. Owned by the loop thread. Changed only by the reactors (reactor_*.cpp).
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "common/base/clock.h"
#include "common/base/ids.h"
#include "common/pipeline/pipeline.h"
#include "common/wire/metrics.h"
#include "common/wire/protocol_version.h"
#include "controller/state/access.h"
#include "controller/state/records.h"
#include "schemas/agent.h"
#include "schemas/client.h"

namespace furrow {

struct Settings {
  Duration heartbeat = std::chrono::seconds(5);
  Duration lease = std::chrono::minutes(10);
  Duration prefetch = std::chrono::milliseconds(50);  // work that may wait on an agent ahead of its turn
  Duration repository_poll = std::chrono::seconds(30);
  std::uint64_t log_quota_bytes = 1ull << 30;
  std::uint32_t max_agents = 10000;
  ProtocolRange protocol;                   // what this controller speaks
  std::uint32_t keep_finished_runs = 1000;  // in memory for quick answers, if their jobs are few
  // How long after an agent was last heard its attempts are surely over, clocks running at slightly
  // different speeds included. Only then may they be given to another.
  // How long an agent with this lease must be silent before its jobs go to another.
  Duration WithMargin(Duration agents_lease) const { return agents_lease + agents_lease / 10 + heartbeat; }
};

// One shard of one job of a run: the unit that is assigned.
struct Job {
  JobId id{};
  std::uint32_t spec = 0;  // index into Run::specs
  std::uint32_t shard = 0;
  JobState state = JobState::kBlocked;
  Epoch epoch{};      // of the newest assignment
  std::string agent;  // holds it now; empty: nobody
  Uuid incarnation;
  std::vector<std::string> gpu_uuids;
  WallTime ready{};
  WallTime assigned{};
  WallTime started{};
  TimePoint told;        // when Assign (or Kill) last left
  bool killing = false;  // the agent has been told to end it
  std::uint32_t retries = 0;
  std::optional<LogRecord> sealed;      // of the current attempt
  std::uint64_t metrics_count = 0;      // lines of the current attempt on record
  std::vector<AttemptRecord> attempts;  // ended ones, oldest first
  Metrics metrics;                      // newest values
  RunId reused_run{};
  JobId reused_job{};

  AttemptRef attempt() const { return {id, epoch}; }
  bool OnAgent() const { return state == JobState::kAssigned || state == JobState::kRunning; }
};

// What all shards of one job of a run have in common.
struct JobGroup {
  std::shared_ptr<const JobSpec> spec;
  std::uint32_t first = 0;           // index of shard 0 in Run::jobs
  std::vector<std::uint32_t> needs;  // groups
  std::vector<std::uint32_t> needed_by;
  std::uint32_t needs_open = 0;     // needed groups that have not passed yet
  std::uint32_t open = 0;           // shards not terminal
  std::uint32_t failed = 0;         // failed, cancelled or skipped shards
  std::deque<std::uint32_t> ready;  // indexes into Run::jobs, in order; may hold some that are no longer ready
  Duration mean_duration{};         // of its attempts that passed, smoothed; 0: none yet
};

struct Run {
  RunRecord record;
  std::vector<JobGroup> groups;  // in the file's order
  std::vector<Job> jobs;         // job i has id record.first_job + i
  std::uint32_t open = 0;        // jobs not terminal

  std::string Name() const { return record.pipeline.name + "#" + std::to_string(record.number); }
  bool Ended() const { return record.state != RunState::kRunning; }
  JobGroup& GroupOf(const Job& job) { return groups[job.spec]; }
  const JobGroup& GroupOf(const Job& job) const { return groups[job.spec]; }
  std::string JobName(const Job& job) const;  // "fashion#42/test/3"; no shard number where there is one shard
};

struct Session {
  SessionId id{};
  PeerId peer = 0;
};

struct GpuUse {
  std::uint32_t milli = 0;
};

struct Agent {
  std::string name;
  std::string host;
  std::string software;
  Uuid incarnation;
  Offer offer;
  Uuid machine, boot, process;  // as in its last Register; 0: not known
  std::set<Uuid> superseded;    // processes that another one took the session from
  std::string conflict;         // somebody else who uses its key, for people; empty: nobody
  TimePoint conflict_seen;      // when that one last tried
  std::set<AttemptRef> left;    // that it had on another machine, or before a reboot, and does not show since
  TimePoint left_heard;         // when it was last heard from there
  Duration left_lease{};        // `lease`, then
  Duration lease{};             // the longest that it may go by: the one of an earlier session counts until it is over
  TimePoint welcomed;           // when this session began
  std::optional<Session> session;  // absent: away
  TimePoint heard;                 // last message of its session; after a restart of ours: the start
  WallTime last_seen{};
  bool drained = false;              // keeps its jobs and gets no new ones
  std::int64_t clock_ahead_ms = 0;   // of ours, as it finds; not on record
  std::string trouble;               // why it should get no new jobs, as it says; empty: it should; not on record
  std::set<JobId> jobs;              // assigned to it, and what they take:
  std::uint64_t cpu_milli_used = 0;  // may exceed the offer by prefetched jobs
  std::uint64_t memory_used = 0;
  std::map<std::string, std::uint32_t> gpu_milli_used;  // by uuid
};

// A push on its way to become a run.
struct Push {
  TriggerRecord record;
  bool importing = false;
  std::vector<Asker> asked_by;
};

struct Repository {
  RepositoryRecord record;
  TimePoint looked;             // when its refs were last asked for
  bool looking = false;         // that question has no answer yet
  bool moved = false;           // a push was told since then: what that look says may be older
  std::vector<Asker> asked_by;  // that wait for that answer
};

struct Watcher {
  Asker asker;
  RunId run{};
  TimePoint sent;
  bool fresh = true;  // has not been told everything yet
  std::set<JobId> changed;
  bool run_changed = false;
};

struct State {
  Settings settings;
  std::string software;    // "furrow-controller 0.1.0 (abc)"
  std::uint64_t boot = 0;  // makes session ids unique over restarts
  std::uint64_t sessions_made = 0;
  std::string refusing;  // why no work is accepted; empty: accepting

  RunId last_run{};
  JobId last_job{};
  std::map<std::string, std::uint64_t> last_number;
  std::map<RunId, Run> runs;                                     // live ones, and some that ended lately
  std::map<JobId, RunId> run_of;                                 // first job of a run → the run
  std::map<std::pair<std::string, std::uint64_t>, RunId> named;  // (pipeline, number) → run, of `runs`
  std::unordered_map<Uuid, RunId> requests;
  std::map<std::string, Agent> agents;
  std::map<SessionId, std::string> sessions;  // live ones → agent
  std::map<std::uint64_t, Push> pushes;       // by ticket
  std::uint64_t last_ticket = 0;
  std::map<std::string, Repository> repositories;
  std::vector<Watcher> watchers;
  Access access;
  bool plan_needed = false;  // something changed that may let a job be placed

  Run* FindRun(RunId id);
  const Run* FindRun(RunId id) const;
  // The live or remembered run that a selector names, or null. number 0: the newest of the pipeline.
  const Run* FindRun(const Selector& selector) const;
  // The run and job of an id, or null.
  std::pair<Run*, Job*> FindJob(JobId id);
  std::pair<const Run*, const Job*> FindJob(JobId id) const;
  Agent* FindAgent(const std::string& name);

  // Aborts if counters, queues and references disagree. Linear in everything: for tests and the simulator.
  void CheckInvariants() const;
};

// Marks a job as changed for everyone who watches its run.
void Touch(State& state, const Run& run, const Job& job);
void Touch(State& state, const Run& run);

// Books what a job takes from an agent, and gives it back.
void Occupy(Agent& agent, const JobSpec& spec, const Job& job);
void Release(Agent& agent, const JobSpec& spec, const Job& job);

// The stored forms of a job and an agent as they are now.
JobRecord RecordOf(const Run& run, const Job& job);
AgentRecord RecordOf(const Agent& agent);

// Sets a job of a run to what its record says and returns it. Counts and queues are left to the caller.
Job& ApplyRecord(Run& run, const JobRecord& record);

// Inserts a run made from its record: groups, edges, all jobs blocked. The record's first_job and number are set.
Run& InsertRun(State& state, RunRecord record);

}  // namespace furrow
