// What is true now on the controller. Public values, their own invariants, no knowledge of messages,
// sockets, disks or clocks. Owned by the loop thread. Changed only by the reactors (controller/reactor/).
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
  std::chrono::milliseconds lease = std::chrono::minutes(10);
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

// One shard of one job of a run: the unit that is assigned. Its record, and what only the running controller knows.
struct Job : JobRecord {
  std::uint32_t spec = 0;  // index into Run::groups
  std::uint32_t shard = 0;
  TimePoint first_sent;             // when the Assign of its attempt first left; after a restart of ours: the start
  TimePoint last_sent;              // when its Assign (or Kill) last left
  std::optional<LogRecord> sealed;  // log of the current attempt
  std::uint64_t metrics_count = 0;  // lines of the current attempt on record
  bool metrics_damaged = false;     // how many there were is not known: the agent's next report begins behind them

  AttemptRef attempt() const { return {id, epoch}; }
  bool OnAgent() const { return state == JobState::kAssigned || state == JobState::kRunning; }
  const JobRecord& record() const { return *this; }
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

// What is known of the way to an agent, and of what it last said; none of it is on record.
struct Link {
  std::optional<Session> session;   // absent: it is away
  TimePoint heard;                  // last message of its session; after a restart of ours: the start
  TimePoint welcomed;               // when this session began
  Uuid process;                     // as in its last Register; 0: not known
  std::set<Uuid> superseded;        // processes that another one took the session from
  std::string conflict;             // somebody else who uses its key, for people; empty: nobody
  TimePoint conflict_seen;          // when that one last tried
  std::set<AttemptRef> orphaned;    // that it had on another machine, or before a reboot, and does not show since
  TimePoint orphaned_heard;         // when it was last heard from there
  Duration orphaned_lease{};        // its lease, then
  std::int64_t clock_ahead_ms = 0;  // of ours, as it finds
  std::string condition;            // why it should get no new jobs, as it says; empty: it should
};

// What jobs take from an agent. More than it offers where they are assigned ahead of their turn.
struct Load {
  std::uint64_t cpu_milli = 0;
  std::uint64_t memory_bytes = 0;
  std::map<std::string, std::uint32_t> gpu_milli;  // by uuid
};

struct Booked {
  std::set<JobId> jobs;  // assigned to it
  Load load;             // what they take
};

struct Agent : AgentRecord {
  Link link;
  Booked booked;

  const AgentRecord& record() const { return *this; }
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
  std::map<SessionId, std::string> sessions;      // live ones → agent
  std::map<std::string, std::string> unreadable;  // agent → what it last sent that could not be read, and why
  std::map<std::uint64_t, Push> pushes;           // by ticket
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
void MarkChanged(State& state, const Run& run, const Job& job);
void MarkChanged(State& state, const Run& run);

// Books what a job takes from an agent, and gives it back.
void Occupy(Booked& booked, const JobSpec& spec, const Job& job);
void Release(Booked& booked, const JobSpec& spec, const Job& job);

// Sets a job of a run to what its record says and returns it. Counts and queues are left to the caller.
Job& ApplyRecord(Run& run, const JobRecord& record);

// Inserts a run made from its record: groups, edges, all jobs blocked. The record's first_job and number are set.
Run& InsertRun(State& state, RunRecord record);

}  // namespace furrow
