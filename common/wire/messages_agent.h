// What an agent and the controller say to each other on the control channel, as owned values.
// schemas/agent.capnp is the wire form, schemas/PROTOCOL.md the conversation.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "common/base/clock.h"
#include "common/base/ids.h"
#include "common/logs/frames.h"
#include "common/pipeline/pipeline.h"
#include "common/wire/offer.h"

namespace furrow {

// ---- shared parts ----------------------------------------------------------------------------------

// Where an attempt stands on its agent.
enum class Phase : std::uint8_t {
  kPreparing,  // accepted; inputs are being fetched, or it waits for its devices; no process yet
  kRunning,    // the runner has it
  kReporting,  // ended; log and artifacts are on their way, or Finished waits for its Ack
};

struct HeldAttempt {
  AttemptRef attempt;
  Phase phase = Phase::kPreparing;
  friend bool operator==(const HeldAttempt&, const HeldAttempt&) = default;
};

// How an attempt ended.
enum class OutcomeKind : std::uint8_t {
  kExited,           // code: exit status; 0 is the only success
  kSignaled,         // code: signal number
  kStartFailed,      // a step's program could not be started
  kTimedOut,         // the job's timeout
  kKilled,           // cancelled, or its lease ran out; detail says which
  kLogQuota,         // printed more than the quota
  kLost,             // the runner or the machine died under it
  kInputFailed,      // the workspace could not be prepared
  kArtifactMissing,  // steps passed, an artifact that the job promises is not there
  kUploadFailed,     // steps passed, artifacts could not be brought to the controller
};

struct Outcome {
  OutcomeKind kind = OutcomeKind::kExited;
  std::int32_t code = 0;
  std::uint32_t step = 0;  // index of the step that ended it
  std::string detail;      // for a person; at most 4 KiB
  bool passed() const { return kind == OutcomeKind::kExited && code == 0; }
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

// One line of a job's FURROW_METRICS file.
struct MetricLine {
  std::int64_t step = -1;                              // "step", or -1 where the line has none
  WallTime at{};                                       // when the agent read it
  std::vector<std::pair<std::string, double>> values;  // every other number of the line
  friend bool operator==(const MetricLine&, const MetricLine&) = default;
};

// ---- agent → controller ------------------------------------------------------------------------------

// First message on a connection, again after Reregister. The sender's name is its ZAP user id.
struct Register {
  std::uint16_t oldest_version = 0;  // protocol versions that the agent speaks
  std::uint16_t newest_version = 0;
  std::string software;  // "furrow-agent 0.1.0 (cdbc41d)"
  std::string host;
  Uuid incarnation;         // of the agent's state folder: new when that was lost
  std::uint64_t nonce = 0;  // counts this process's registrations; echoed in Welcome
  Offer offer;
  std::vector<HeldAttempt> held;
  // What tells a copy of the agent from itself; 0: not known.
  Uuid machine;  // digest of the machine's id
  Uuid boot;     // new at each start of the machine
  Uuid process;  // random, of the agent's process
  friend bool operator==(const Register&, const Register&) = default;
};

// Every heartbeat interval: lets the controller renew the lease and compare what it believes.
struct Heartbeat {
  SessionId session{};
  std::uint64_t sequence = 0;       // counts up in a session; echoed in HeartbeatAck
  std::vector<HeldAttempt> held;    // all of them
  std::int64_t clock_ahead_ms = 0;  // of the controller's; 0: as far as is known, it is not
  std::string trouble{};            // why it should get no new jobs, in one line; empty: it should
  friend bool operator==(const Heartbeat&, const Heartbeat&) = default;
};

// The attempt's first process runs.
struct Started {
  SessionId session{};
  AttemptRef attempt;
  WallTime at{};
  friend bool operator==(const Started&, const Started&) = default;
};

// Metrics lines [first, first + lines.size()) of the attempt. Repeated until acknowledged.
struct MetricsReport {
  SessionId session{};
  AttemptRef attempt;
  std::uint64_t first = 0;
  std::vector<MetricLine> lines;
  friend bool operator==(const MetricsReport&, const MetricsReport&) = default;
};

// The attempt has ended, its log is sealed and its artifacts committed on the controller.
// Repeated until FinishedAck.
struct Finished {
  SessionId session{};
  AttemptRef attempt;
  Outcome outcome;
  WallTime started{};  // 0: no process ever ran
  WallTime ended{};
  std::uint64_t cpu_ms = 0;              // user + system, whole process tree as far as reaped
  std::uint64_t max_rss_bytes = 0;       // largest single process
  std::uint64_t log_length = 0;          // bytes
  Hash log_hash;                         // SHA-256 of the whole log
  std::optional<std::string> small_log;  // the whole log, if it never travelled on bulk; ≤ kSmallLogBytes
  Hash artifacts;                        // tree; zero: none
  std::uint64_t metrics_first = 0;       // index of the first of `metrics`
  std::vector<MetricLine> metrics;       // lines not acknowledged yet: the end of the file
  friend bool operator==(const Finished&, const Finished&) = default;
};

using AgentMessage = std::variant<Register, Heartbeat, Started, MetricsReport, Finished>;

// ---- controller → agent ------------------------------------------------------------------------------

struct Welcome {
  SessionId session{};
  std::uint64_t nonce = 0;    // of the Register it answers
  std::uint16_t version = 0;  // to be spoken from now on
  std::uint32_t heartbeat_ms = 0;
  std::uint32_t lease_ms = 0;  // without a HeartbeatAck for so long the agent ends its attempts
  WallTime wall{};             // the controller's clock; 0: not known
  friend bool operator==(const Welcome&, const Welcome&) = default;
};

// The controller will not have this agent. It says why and tries again no sooner than retry_ms.
struct Refused {
  std::uint64_t nonce = 0;
  std::string reason;
  std::uint32_t retry_ms = 0;
  friend bool operator==(const Refused&, const Refused&) = default;
};

// Answer to a message of a session that the controller does not know (it was restarted, say).
struct Reregister {
  SessionId session{};  // the unknown one
  friend bool operator==(const Reregister&, const Reregister&) = default;
};

struct HeartbeatAck {
  SessionId session{};
  std::uint64_t sequence = 0;
  friend bool operator==(const HeartbeatAck&, const HeartbeatAck&) = default;
};

// Do this. Repeated while the agent's heartbeats do not show it; doing it twice is the agent's to avoid.
struct Assign {
  SessionId session{};
  AttemptRef attempt;
  RunId run{};
  std::string run_name;                 // "fashion#42"
  std::uint32_t shard = 0;              // from 0
  std::shared_ptr<const JobSpec> spec;  // never null; shared with the controller's state, not changed
  std::vector<std::string> gpu_uuids;   // devices that are its own; empty: none
  std::string commit;                   // full hex, or empty
  std::string branch;
  std::vector<Hash> trees;                              // put into the workspace in this order; a later one wins
  std::vector<std::pair<std::string, double>> metrics;  // of the needed jobs, for check steps
  std::uint64_t log_quota_bytes = 0;
};
bool operator==(const Assign& a, const Assign& b);  // compares the specs, not the pointers

// End this attempt if it is there (cancelled, or no longer current). Repeated while heartbeats show it.
struct Kill {
  SessionId session{};
  AttemptRef attempt;
  std::string reason;
  bool forget = false;  // stale: nobody wants its report
  friend bool operator==(const Kill&, const Kill&) = default;
};

// Finished is on record (or was refused as stale): forget the attempt, delete its spool.
struct FinishedAck {
  SessionId session{};
  AttemptRef attempt;
  friend bool operator==(const FinishedAck&, const FinishedAck&) = default;
};

// Metrics lines below `count` are on record.
struct MetricsAck {
  SessionId session{};
  AttemptRef attempt;
  std::uint64_t count = 0;
  friend bool operator==(const MetricsAck&, const MetricsAck&) = default;
};

using ToAgent = std::variant<Welcome, Refused, Reregister, HeartbeatAck, Assign, Kill, FinishedAck, MetricsAck>;

}  // namespace furrow
