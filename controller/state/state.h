// The State is what the controller knows now: public values that keep their own invariants and know nothing of
// messages, sockets, disks or clocks. The loop thread owns the State; only the reactors (controller/reactor/) change
// it.
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
#include "controller/state/pipelines.h"
#include "controller/state/records.h"
#include "controller/state/supply.h"
#include "schemas/agent.h"
#include "schemas/client.h"

namespace furrow {

struct Settings {
  Duration heartbeat = std::chrono::seconds(5);
  std::chrono::milliseconds lease = std::chrono::minutes(10);
  Duration prefetch = std::chrono::milliseconds(50);  // work that an agent may hold beyond its free CPUs
  Duration repository_poll = std::chrono::seconds(30);
  std::uint64_t log_quota_bytes = 1ull << 30;
  std::uint32_t max_agents = 10000;
  ProtocolRange protocol;                   // the protocol versions that this controller speaks
  std::uint32_t keep_finished_runs = 1000;  // kept in memory for quick answers, if their jobs are few
  // Returns how long an agent with this lease must be silent before its jobs go to another agent. By then the agent has
  // surely ended its attempts, even if the clocks run at slightly different speeds.
  Duration WithMargin(Duration agents_lease) const { return agents_lease + agents_lease / 10 + heartbeat; }
};

// A Job is one shard of one job of a run, the unit that is assigned: its record, and fields that only the running
// controller knows.
struct Job : JobRecord {
  std::uint32_t spec = 0;  // index into Run::groups
  std::uint32_t shard = 0;
  TimePoint first_sent;  // when the Assign of the attempt first left; after a restart of the controller: the start
  TimePoint last_sent;   // when the Assign or Kill of the attempt last left
  std::optional<LogRecord> sealed;      // the log of the current attempt
  bool seal_damaged = false;            // The log is sealed, but `sealed` is lost: its agent's report says what it was.
  std::uint64_t metrics_count = 0;      // lines of the current attempt that are on record or left out
  std::uint64_t metrics_bytes = 0;      // bytes on the wire of those on record
  bool metrics_damaged = false;         // `metrics_count` is unknown; the next report begins behind the recorded lines.
  std::vector<AttemptRecord> attempts;  // ended attempts, oldest first
  Metrics metrics;                      // the newest value of each name, of the newest attempt

  AttemptRef attempt() const { return {id, epoch}; }
  bool OnAgent() const { return state == JobState::kAssigned || state == JobState::kRunning; }
  const JobRecord& record() const { return *this; }
};

// A JobGroup is what all shards of one job of a run have in common.
struct JobGroup {
  std::shared_ptr<const JobSpec> spec;
  std::uint32_t first = 0;           // index of shard 0 in Run::jobs
  std::vector<std::uint32_t> needs;  // indexes into Run::groups
  std::vector<std::uint32_t> needed_by;
  std::uint32_t needs_open = 0;                        // needed groups that have not passed yet
  std::uint32_t open = 0;                              // shards not terminal
  std::uint32_t failed = 0;                            // shards that failed, were cancelled or were skipped
  std::deque<std::uint32_t> ready;                     // the ready jobs, as indexes into Run::jobs, in order
  Duration mean_duration{};                            // smoothed mean over the attempts that passed; 0: none yet
  std::unordered_map<const Agent*, std::uint32_t> on;  // how many shards are on each agent; none is 0
  std::pair<const Need, Queue>* queued = nullptr;      // where the group waits in the Demand; null: it has no ready job
};

struct Run {
  RunRecord record;
  std::shared_ptr<const Pipeline> pipeline;  // Runs of one pipeline share it as long as the file does not change.
  std::vector<JobGroup> groups;              // in the order of the pipeline file
  std::vector<Job> jobs;                     // job i has id record.first_job + i
  std::uint32_t open = 0;                    // jobs not terminal
  std::uint32_t passed = 0;
  std::uint32_t failed = 0;
  std::uint32_t running = 0;  // jobs that are on agents

  std::string Name() const { return record.name + "#" + std::to_string(record.number); }
  bool Ended() const { return record.state != RunState::kRunning; }
  JobGroup& GroupOf(const Job& job) { return groups[job.spec]; }
  const JobGroup& GroupOf(const Job& job) const { return groups[job.spec]; }
  std::string JobName(const Job& job) const;  // "fashion#42/test/3"; a job of one shard has no shard number
};

struct Session {
  SessionId id{};
  PeerId peer = 0;
};

// A Link is what the controller knows of the connection to an agent and of the agent's last messages. Nothing of a Link
// is on record.
struct Link {
  std::optional<Session> session;   // absent: the agent is away
  TimePoint heard;                  // last message of the session; after a restart of the controller: the start
  TimePoint welcomed;               // when the session began
  Uuid process;                     // the agent's process, from its last Register; 0: not known
  std::set<Uuid> superseded;        // processes from which another one took the session
  std::string conflict;             // for people: another process that uses the agent's key; empty: none
  TimePoint conflict_seen;          // when the other process last tried to register
  std::set<AttemptRef> orphaned;    // attempts on another machine or before a reboot, not shown since
  TimePoint orphaned_heard;         // when the agent was last heard from there
  Duration orphaned_lease{};        // the lease of the agent at that time
  std::int64_t clock_ahead_ms = 0;  // ahead of the controller's clock, as the agent measures
  std::string condition;            // the agent's own reason to get no new jobs; empty: none
};

// A Load is what jobs take from an agent. A Load exceeds the agent's offer where jobs are assigned ahead.
struct Load {
  std::uint64_t cpu_milli = 0;
  std::uint64_t memory_bytes = 0;
  std::map<std::string, std::uint32_t> gpu_milli;  // by uuid
};

struct Booked {
  std::set<JobId> jobs;  // the jobs assigned to the agent
  Load load;             // the sum of what `jobs` take
};

struct Agent : AgentRecord {
  Link link;
  Booked booked;
  Filed filed;

  const AgentRecord& record() const { return *this; }
};

// A Push is a push that has not become a run yet.
struct Push {
  TriggerRecord record;
  bool importing = false;
  TimePoint next_try;  // when the commit is imported again; counts while it is not importing
  std::vector<Asker> asked_by;
};

struct Repository {
  RepositoryRecord record;
  TimePoint looked;             // when the refs were last asked for
  bool looking = false;         // The last question for the refs has no answer yet.
  bool moved = false;           // A push came in since the last question, so the answer may be older than the push.
  std::vector<Asker> asked_by;  // clients that wait for the answer
  bool hooked = false;          // The last look found the farm's hook.
  WallTime read{};              // when a look could last read the repository
  std::uint32_t failures = 0;   // looks since that could not
  bool gone = false;            // The last of them found no repository.
  std::string alias;            // another path at which the same repository was seen; empty: none
  std::string problem;          // what is wrong with the repository, for people; empty: nothing
};

struct Watcher {
  Asker asker;
  TimePoint sent;
  bool fresh = true;  // The watcher has not got all jobs yet.
  std::set<JobId> changed;
  bool run_changed = false;
};

struct State {
  Settings settings;
  std::string software;    // "furrow-controller 0.1.0 (abc)"
  std::uint64_t boot = 0;  // makes session ids unique across restarts
  std::uint64_t sessions_made = 0;
  std::string refusing;  // why the controller accepts no work; empty: the controller accepts work

  FarmRecord farm;
  CountersRecord counters{.project = kDefaultProject, .person = kDefaultPerson};
  std::map<ProjectId, ProjectRecord> projects{{kDefaultProject, {kDefaultProject, kDefaultName}}};
  std::map<PersonId, PersonRecord> persons{{kDefaultPerson, {kDefaultPerson, kDefaultName}}};
  Pipelines pipelines;
  std::map<RunId, Run> runs;                                    // live runs, and some that ended lately
  std::set<RunId> ended;                                        // those of `runs` that have ended
  std::uint64_t ended_jobs = 0;                                 // the jobs of these
  std::map<JobId, RunId> run_of;                                // first job of a run → the run
  std::map<std::pair<PipelineId, std::uint64_t>, RunId> named;  // (pipeline, number) → run in `runs`
  std::unordered_map<Uuid, RunId> requests;
  std::map<std::string, Agent> agents;
  Supply supply;                                  // `agents`, by what they can take
  Demand demand;                                  // groups with ready jobs, by what they need
  std::map<SessionId, std::string> sessions;      // live session → agent
  std::map<std::string, std::string> unreadable;  // agent → its last unreadable message, and why
  std::map<std::uint64_t, Push> pushes;           // by ticket
  std::uint64_t last_ticket = 0;
  std::map<std::string, Repository> repositories;
  std::map<RunId, std::vector<Watcher>> watchers;  // by the run that they watch; none is empty
  std::set<RunId> news;                            // runs of which a watcher has not heard all
  Access access;
  // The clients for which many answers wait for the disk: their requests are refused, and their watches wait.
  std::set<std::string> crowded;
  std::map<std::string, std::uint32_t> asked_history;  // by client: questions that history has yet to answer
  bool behind = false;       // Turns wait for a slow disk: what was decided may not have left yet.
  bool stalled = false;      // They wait for so long that readers get what was durable before.
  bool plan_needed = false;  // A change may let the scheduler assign a job.

  Run* FindRun(RunId id);
  const Run* FindRun(RunId id) const;
  // Returns the pipeline that a selector names, or null.
  const PipelineRecord* FindPipeline(const Selector& selector) const;
  // Returns the run in `runs` that a selector names, or null. Number 0 means the newest run of the pipeline.
  const Run* FindRun(const Selector& selector) const;
  // Returns the run and the job of an id, or nulls.
  std::pair<Run*, Job*> FindJob(JobId id);
  std::pair<const Run*, const Job*> FindJob(JobId id) const;
  Agent* FindAgent(const std::string& name);

  // Aborts if counters, queues and references disagree. The time is linear in the size of the state, so only tests and
  // the simulator call this check.
  void CheckInvariants() const;
};

// Marks a job as changed for all watchers of its run.
void MarkChanged(State& state, const Run& run, const Job& job);
void MarkChanged(State& state, const Run& run);

// Occupy books what a job takes from an agent; Release gives the same back.
void Occupy(State& state, Agent& agent, JobGroup& group, const Job& job);
void Release(State& state, Agent& agent, JobGroup& group, const Job& job);

// Sets a job of a run to its record and returns the job. Callers update the counts and queues.
Job& ApplyRecord(Run& run, const JobRecord& record);

// Counts what became of the run's jobs.
void CountJobs(Run& run);

// Inserts a run made from its record: groups, edges, and all jobs, blocked. The caller has set the record's first_job
// and number.
Run& InsertRun(State& state, RunRecord record, std::shared_ptr<const Pipeline> pipeline);

}  // namespace furrow
