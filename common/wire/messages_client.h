// What a client (the CLI, the git hook) and the controller say to each other on the control channel.
// schemas/client.capnp is the wire form. A request carries a number chosen by the client; its answer,
// and for Watch each update, carries the same one.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "common/base/clock.h"
#include "common/base/ids.h"
#include "common/pipeline/pipeline.h"
#include "common/wire/messages_agent.h"
#include "common/wire/messages_enrol.h"
#include "common/wire/offer.h"

namespace furrow {

// ---- names -------------------------------------------------------------------------------------------

// "fashion#42", "fashion#42/test", "fashion#42/test/3".
struct Selector {
  std::string pipeline;
  std::uint64_t number = 0;            // 0: the newest run of the pipeline
  std::string job;                     // empty: the whole run
  std::optional<std::uint32_t> shard;  // absent: every shard
  friend bool operator==(const Selector&, const Selector&) = default;
};
Result<Selector> ParseSelector(std::string_view text);
std::string FormatSelector(const Selector& selector);

// ---- views: what a client is shown ---------------------------------------------------------------------

enum class JobState : std::uint8_t {
  kBlocked,   // needs jobs that have not passed yet
  kReady,     // waits for an agent
  kAssigned,  // an agent has it or is being told
  kRunning,   // its first process runs
  kPassed,
  kFailed,
  kCancelled,
  kSkipped,  // a job it needs did not pass
};
inline bool IsTerminal(JobState state) {
  return state >= JobState::kPassed;
}
const char* JobStateName(JobState state);

enum class RunState : std::uint8_t { kRunning, kPassed, kFailed, kCancelled };
const char* RunStateName(RunState state);

// Where the sources of a run come from; every field may be empty.
struct SourceInfo {
  std::string repository;  // path or address
  std::string ref;         // "refs/heads/main"
  std::string branch;      // "main"
  std::string commit;      // full hex
  std::string title;       // the commit's first line
  std::string author;
  bool dirty = false;  // a working copy with changes that are not in the commit
  friend bool operator==(const SourceInfo&, const SourceInfo&) = default;
};

struct RunSummary {
  RunId id{};
  std::string pipeline;
  std::uint64_t number = 0;  // pipeline#number is its name
  RunState state = RunState::kRunning;
  SourceInfo source;
  WallTime submitted{};
  WallTime ended{};              // 0: not yet
  std::uint32_t jobs_total = 0;  // shards counted one by one
  std::uint32_t jobs_passed = 0;
  std::uint32_t jobs_failed = 0;
  std::uint32_t jobs_running = 0;  // assigned or running
  std::string note;                // why it failed or was cancelled, in one line
  friend bool operator==(const RunSummary&, const RunSummary&) = default;
};

struct JobView {
  JobId id{};
  std::string job;
  std::uint32_t shard = 0;
  std::uint32_t shard_count = 1;
  JobState state = JobState::kBlocked;
  Epoch epoch{};      // 0: never assigned
  std::string agent;  // of the newest attempt
  std::vector<std::string> gpu_uuids;
  WallTime ready{};  // when its needs were met; 0: not yet
  WallTime started{};
  WallTime ended{};
  std::optional<Outcome> outcome;  // of the newest attempt that ended
  RunId log_run{};                 // where its log is read: LogRead{log_run, log_attempt}
  AttemptRef log_attempt;          // epoch 0: there is none yet
  std::uint64_t log_length = 0;    // 0 until sealed
  Hash artifacts;
  std::vector<std::string> needs;
  std::string waits_for;                                // one line; empty unless blocked or ready
  std::vector<std::pair<std::string, double>> metrics;  // newest value of each
  friend bool operator==(const JobView&, const JobView&) = default;
};

struct AgentJob {
  std::string job;  // "fashion#42/test/3"
  WallTime since{};
  std::vector<std::string> gpu_uuids;
  friend bool operator==(const AgentJob&, const AgentJob&) = default;
};

struct AgentView {
  std::string name;
  std::string host;
  std::string software;
  bool connected = false;
  WallTime last_seen{};
  Offer offer;
  std::uint32_t cpu_milli_used = 0;
  std::vector<AgentJob> jobs;
  std::string note;      // what is wrong with it, in one line; empty: nothing
  bool drained = false;  // gets no new jobs
  friend bool operator==(const AgentView&, const AgentView&) = default;
};

struct EnrolmentUse {
  std::string name;
  std::string fingerprint;
  WallTime at{};
  friend bool operator==(const EnrolmentUse&, const EnrolmentUse&) = default;
};

struct EnrolmentView {
  EnrolmentId id{};
  std::vector<std::string> labels;
  std::uint32_t uses = 0;  // how many agents it lets in
  std::vector<EnrolmentUse> used;
  WallTime made{};
  WallTime expires{};
  WallTime revoked{};  // 0: it was not
  friend bool operator==(const EnrolmentView&, const EnrolmentView&) = default;
};

struct KeyView {
  KeyRole role = KeyRole::kClient;
  std::string name;
  std::string fingerprint;
  std::string public_key;
  WallTime since{};         // first seen on the allowlist
  EnrolmentId enrolment{};  // that let it in; 0: a person put it there
  bool connected = false;   // agents only
  WallTime last_seen{};     // 0: never, or (clients) not since the controller started
  friend bool operator==(const KeyView&, const KeyView&) = default;
};

// ---- requests ------------------------------------------------------------------------------------------

struct Submit {
  Uuid request;              // the same id is the same submission, however often it is sent
  std::string file;          // name of the pipeline file, for diagnostics
  std::string text;          // its content; ≤ kMaxPipelineBytes
  std::string default_name;  // the pipeline's, where the file gives none
  Env overrides;             // --set
  Hash source;               // tree, already on the controller; zero: an empty workspace
  SourceInfo info;
  friend bool operator==(const Submit&, const Submit&) = default;
};

struct Trigger {  // a push, told by the hook
  Uuid request;
  std::string repository;  // absolute path or address
  std::string ref;
  std::string old_commit;  // full hex; zeros: the ref is new
  std::string new_commit;  // zeros: the ref was deleted
  friend bool operator==(const Trigger&, const Trigger&) = default;
};

struct WatchRepository {  // `hook install`: compare this repository's refs from now on
  std::string repository;
  friend bool operator==(const WatchRepository&, const WatchRepository&) = default;
};

struct Cancel {
  Selector what;
  std::string reason;
  friend bool operator==(const Cancel&, const Cancel&) = default;
};

struct Retry {  // a new run of the same sources and pipeline
  Uuid request;
  Selector run;
  bool failed_only = false;  // jobs that passed are taken over with their artifacts
  friend bool operator==(const Retry&, const Retry&) = default;
};

struct ListRuns {
  std::string pipeline;      // empty: all
  std::uint32_t limit = 20;  // 1 … 1000
  RunId before{};            // older than this one; 0: from the newest on
  friend bool operator==(const ListRuns&, const ListRuns&) = default;
};

struct ShowRun {
  Selector what;               // a job and shard narrow it
  std::uint32_t first = 0;     // of the jobs that match
  std::uint32_t limit = 1000;  // 1 … 10,000
  friend bool operator==(const ShowRun&, const ShowRun&) = default;
};

// Answered with a RunUpdate holding everything, then one per change, the last with run_ended.
struct Watch {
  Selector run;
  friend bool operator==(const Watch&, const Watch&) = default;
};

struct ListAgents {
  friend bool operator==(const ListAgents&, const ListAgents&) = default;
};
struct Why {
  Selector what;
  friend bool operator==(const Why&, const Why&) = default;
};
struct GetMetrics {
  Selector what;
  std::string name;  // empty: all
  friend bool operator==(const GetMetrics&, const GetMetrics&) = default;
};
struct Ping {
  friend bool operator==(const Ping&, const Ping&) = default;
};

struct NewEnrolment {
  EnrolmentId id{};  // random; the same id and verify_key are the same enrolment
  Hash verify_key;   // see enrol_proof.h
  std::vector<std::string> labels;
  std::uint32_t uses = 1;  // 1 … kMaxEnrolmentUses
  std::chrono::milliseconds valid{3'600'000};
  friend bool operator==(const NewEnrolment&, const NewEnrolment&) = default;
};
struct ListEnrolments {
  friend bool operator==(const ListEnrolments&, const ListEnrolments&) = default;
};
struct RevokeEnrolment {
  EnrolmentId id{};
  friend bool operator==(const RevokeEnrolment&, const RevokeEnrolment&) = default;
};
struct ListKeys {
  friend bool operator==(const ListKeys&, const ListKeys&) = default;
};
struct RevokeKey {
  std::string what;  // a name, or the start of a fingerprint
  friend bool operator==(const RevokeKey&, const RevokeKey&) = default;
};

// An agent that is drained keeps its jobs and gets no new ones, until it is resumed.
struct DrainAgent {
  std::string agent;
  bool drained = true;  // false: resume it
  friend bool operator==(const DrainAgent&, const DrainAgent&) = default;
};

using ClientRequest =
    std::variant<Submit, Trigger, WatchRepository, Cancel, Retry, ListRuns, ShowRun, Watch, ListAgents, Why, GetMetrics,
                 Ping, NewEnrolment, ListEnrolments, RevokeEnrolment, ListKeys, RevokeKey, DrainAgent>;

// ---- answers -------------------------------------------------------------------------------------------

struct Submitted {
  RunId run{};  // 0: the push starts nothing; note says why
  std::string name;
  bool repeated = false;  // the request was known already
  std::string note;
  friend bool operator==(const Submitted&, const Submitted&) = default;
};
struct Done {
  std::string text;  // for a person
  friend bool operator==(const Done&, const Done&) = default;
};
struct Failure {
  Errc code = Errc::kInternal;
  std::string message;
  std::string file;
  std::vector<Diagnostic> diagnostics;  // every mistake in `file`
  friend bool operator==(const Failure&, const Failure&) = default;
};
struct RunList {
  std::vector<RunSummary> runs;  // newest first
  friend bool operator==(const RunList&, const RunList&) = default;
};
struct RunDetail {
  RunSummary run;
  std::uint32_t matching = 0;  // jobs that match in all
  std::vector<JobView> jobs;
  friend bool operator==(const RunDetail&, const RunDetail&) = default;
};
struct RunUpdate {
  RunSummary run;
  std::vector<JobView> jobs;  // those that changed; in the first update all (≤ 10,000)
  bool run_ended = false;     // nothing more follows
  friend bool operator==(const RunUpdate&, const RunUpdate&) = default;
};
struct AgentList {
  std::vector<AgentView> agents;
  friend bool operator==(const AgentList&, const AgentList&) = default;
};
struct WaitReason {
  std::string job;                   // "fashion#42/test/3"
  std::string reason;                // what it lacks
  std::vector<std::string> holders;  // who holds that
  friend bool operator==(const WaitReason&, const WaitReason&) = default;
};
struct WaitReasons {
  std::vector<WaitReason> reasons;  // at most 1,000
  friend bool operator==(const WaitReasons&, const WaitReasons&) = default;
};
struct MetricSeries {
  std::string job;  // "fashion#42/train"
  std::string name;
  std::vector<std::int64_t> steps;
  std::vector<double> values;  // as many as steps; at most 10,000, of more the extremes and the last
  std::uint64_t reported = 0;  // by the job; 0: not known
  friend bool operator==(const MetricSeries&, const MetricSeries&) = default;
};
struct MetricsAnswer {
  std::vector<MetricSeries> series;
  friend bool operator==(const MetricsAnswer&, const MetricsAnswer&) = default;
};
struct Pong {
  std::string software;
  std::uint32_t agents_connected = 0;
  std::uint32_t runs_live = 0;
  friend bool operator==(const Pong&, const Pong&) = default;
};

struct EnrolmentMade {
  EnrolmentView enrolment;
  std::string host;         // where machines reach the controller; empty: it does not know
  bool advertised = false;  // `host` is configured: no guess
  std::uint16_t port = 0;   // of the enrol endpoint
  friend bool operator==(const EnrolmentMade&, const EnrolmentMade&) = default;
};
struct EnrolmentList {
  std::vector<EnrolmentView> enrolments;  // newest first
  friend bool operator==(const EnrolmentList&, const EnrolmentList&) = default;
};
struct KeyList {
  std::vector<KeyView> keys;
  friend bool operator==(const KeyList&, const KeyList&) = default;
};

using ClientReply = std::variant<Submitted, Done, Failure, RunList, RunDetail, RunUpdate, AgentList, WaitReasons,
                                 MetricsAnswer, Pong, EnrolmentMade, EnrolmentList, KeyList>;

}  // namespace furrow
