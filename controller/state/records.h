// What the controller remembers on disk, as owned values; schemas/record.capnp is the stored form,
// controller/STORE.md says under which keys. A record replaces the one with the same key.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "common/base/clock.h"
#include "common/base/ids.h"
#include "common/pipeline/pipeline.h"
#include "common/wire/messages_agent.h"
#include "common/wire/messages_client.h"

namespace furrow {

// Where the bytes of a sealed log lie.
struct LogLocation {
  enum class Kind : std::uint8_t { kNone, kOwnFile, kPack };
  Kind kind = Kind::kNone;   // kOwnFile: the attempt's own file, found by its name
  std::uint32_t pack = 0;    // number of the run's pack file
  std::uint64_t offset = 0;  // of the frame in the pack
  friend bool operator==(const LogLocation&, const LogLocation&) = default;
};

struct LogRecord {
  std::uint64_t length = 0;  // bytes
  Hash hash;                 // SHA-256 of the whole log
  LogLocation location;
  friend bool operator==(const LogRecord&, const LogRecord&) = default;
};

// One ended attempt.
struct AttemptRecord {
  Epoch epoch{};
  std::string agent;
  std::vector<std::string> gpu_uuids;
  WallTime started{};
  WallTime ended{};
  Outcome outcome;
  std::uint64_t cpu_ms = 0;
  std::uint64_t max_rss_bytes = 0;
  LogRecord log;
  Hash artifacts;  // tree; zero: none
  friend bool operator==(const AttemptRecord&, const AttemptRecord&) = default;
};

// A run as it was accepted, and how it ended. Written at both moments.
struct RunRecord {
  RunId id{};
  std::uint64_t number = 0;
  Uuid request;
  Pipeline pipeline;
  Hash source;  // tree; zero: none
  SourceInfo info;
  WallTime submitted{};
  WallTime ended{};
  RunState state = RunState::kRunning;
  std::string note;
  JobId first_job{};              // its jobs are [first_job, first_job + shards of all jobs)
  RunId retry_of{};               // 0: none
  std::uint32_t jobs_passed = 0;  // shards; counted when the run has ended
  std::uint32_t jobs_failed = 0;
  bool cancelling = false;
  friend bool operator==(const RunRecord&, const RunRecord&) = default;
};

// A job that has left its first state; jobs without a record are blocked or ready with epoch 0.
struct JobRecord {
  JobId id{};
  RunId run{};
  JobState state = JobState::kBlocked;
  Epoch epoch{};      // of the newest assignment; durable before it leaves
  std::string agent;  // that it is assigned to; empty: to none
  Uuid incarnation;   // of that agent's state folder
  std::vector<std::string> gpu_uuids;
  bool cancelling = false;  // somebody asked to end it; its agent has yet to report
  WallTime ready{};
  WallTime assigned{};
  WallTime started{};
  std::uint32_t retries = 0;  // attempts that counted against the retry rule
  RunId reused_run{};         // taken over from this run by a retry: its log lies there; 0: its own
  JobId reused_job{};
  std::vector<AttemptRecord> attempts;                  // ended ones, oldest first
  std::vector<std::pair<std::string, double>> metrics;  // newest value of each name
  friend bool operator==(const JobRecord&, const JobRecord&) = default;
};

// Lines [first, first + lines.size()) of an attempt's metrics.
struct MetricsRecord {
  AttemptRef attempt;
  std::uint64_t first = 0;
  std::vector<MetricLine> lines;
  friend bool operator==(const MetricsRecord&, const MetricsRecord&) = default;
};

// The log of a running attempt was sealed by the bulk channel; its Finished has not come yet.
struct SealRecord {
  AttemptRef attempt;
  LogRecord log;
  bool erased = false;  // true: delete the record (the JobRecord holds it from now on)
  friend bool operator==(const SealRecord&, const SealRecord&) = default;
};

struct AgentRecord {
  std::string name;
  std::string host;
  std::string software;
  Uuid incarnation;
  Offer offer;
  WallTime last_seen{};
  Uuid machine;  // as in its last Register
  Uuid boot;
  bool drained = false;  // gets no new jobs
  Duration lease{};      // it may run jobs without us for so long; whole milliseconds; 0: not known
  bool erased = false;   // true: delete the record
  friend bool operator==(const AgentRecord&, const AgentRecord&) = default;
};

// A push that was told and has not become a run yet.
struct TriggerRecord {
  Uuid request;
  std::string repository;
  std::string ref;
  std::string old_commit;
  std::string new_commit;
  bool erased = false;  // true: delete the record
  friend bool operator==(const TriggerRecord&, const TriggerRecord&) = default;
};

// A repository that is looked at for missed pushes, and the commits that were seen.
struct RepositoryRecord {
  std::string repository;
  std::map<std::string, std::string> refs;  // "refs/heads/main" → commit
  bool looked = false;                      // its refs were read once: from then on an unknown ref is a push
  friend bool operator==(const RepositoryRecord&, const RepositoryRecord&) = default;
};

// One line of `furrow enrol new`, and whom it let in.
struct EnrolmentRecord {
  struct Use {
    std::string public_key;
    std::string name;
    WallTime at{};        // when it proved the secret
    bool let_in = false;  // its key was put on the allowlist: if it is not there now, it was revoked
    friend bool operator==(const Use&, const Use&) = default;
  };
  EnrolmentId id{};
  Hash verify_key;  // checks proofs; the secret itself is nowhere but in the line
  std::vector<std::string> labels;
  std::uint32_t uses = 0;  // how many agents it lets in
  std::vector<Use> used;   // on record before the key is let in
  WallTime made{};
  WallTime expires{};
  WallTime revoked{};   // 0: it was not
  bool erased = false;  // true: delete the record
  friend bool operator==(const EnrolmentRecord&, const EnrolmentRecord&) = default;
};

// What is known of a key of the allowlist, beside the line itself.
struct KeyRecord {
  std::string public_key;
  KeyRole role = KeyRole::kClient;
  std::string name;
  WallTime since{};         // when it was first seen there
  EnrolmentId enrolment{};  // that let it in; 0: a person put it there
  bool erased = false;      // true: delete the record
  friend bool operator==(const KeyRecord&, const KeyRecord&) = default;
};

using Record = std::variant<RunRecord, JobRecord, MetricsRecord, SealRecord, AgentRecord, TriggerRecord,
                            RepositoryRecord, EnrolmentRecord, KeyRecord>;

}  // namespace furrow
