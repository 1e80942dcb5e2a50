// Holds the state of an agent. The loop thread owns AgentState, and only the reactor (agent/reactor/) changes the
// state. No part is on disk: the runner's table and the controller's records restore it after a restart.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "agent/join/machine_id.h"
#include "common/base/clock.h"
#include "common/base/free_space.h"
#include "common/base/ids.h"
#include "common/wire/protocol_version.h"
#include "schemas/agent.h"

namespace furrow {

// Holds the settings of an agent and of its jobs, taken from the configuration and the machine.
struct AgentSettings {
  std::string software;  // "furrow-agent 0.1.0 (abc)"
  std::string host;
  std::string state_folder;      // absolute
  std::vector<std::string> env;  // KEY=VALUE; every job's environment starts with these.
  std::string shell;             // absolute path of bash, or of sh where there is no bash
  bool shell_is_bash = true;
  std::string torch_program;  // path of furrow-torch
  std::string agent_program;  // path of furrow-agent, for check steps
  Duration kill_grace = std::chrono::seconds(10);
  std::uint64_t log_quota_bytes = 0;  // 0: the controller's quota
  std::uint64_t disk_low_bytes = 0;   // With less free space the agent takes no new jobs; 0: only a full disk counts.
  ProtocolRange protocol;             // protocol versions that this agent speaks
  std::uint64_t seed = 0;             // The seed spreads the registrations of many agents.
};

// Holds one attempt that the controller assigned to this agent, until the controller acknowledges its report.
struct HeldJob {
  enum class Stage : std::uint8_t {
    kPreparing,   // The workspace is being made.
    kWaiting,     // The job is prepared and waits for CPUs and memory.
    kHeld,        // The runner starts the job when the attempt `after` is over; see agent/reactor/devices.h.
    kStarting,    // The runner has the order to start the job.
    kRunning,     // The job's first process runs.
    kCollecting,  // The job has ended; its log and artifacts are being uploaded.
    kReporting,   // Finished is repeated until it is acknowledged.
  };
  std::shared_ptr<const Assign> assign;  // never null
  std::uint32_t slot = 0;                // The workspace and spool of this slot are the job's until they are cleared.
  Stage stage = Stage::kPreparing;
  std::optional<AttemptRef> after;  // kHeld: the job gets this attempt's CPUs and memory; none: only the runner knows.
  std::optional<AttemptRef> next;   // This attempt is held to get the job's CPUs and memory.
  bool killing = false;             // The runner has the order to end the job.
  bool unwanted = false;            // No report is due: the job is forgotten when it has ended.
  bool lease_lost = false;          // The lease ran out: the job ends, or has ended, for that.
  bool shown = false;               // Started has been sent, and the uploader follows the output.
  TimePoint started;                // when the runner reported the start
  Finished report;                  // The reactor fills the report in as facts become known.
  std::optional<std::uint64_t> log_bytes;  // what the runner kept of the output, once it has ended and says so
  bool output_done = false;
  bool artifacts_done = false;
  std::deque<MetricLine> metrics;   // metrics without an acknowledgement
  std::uint64_t metrics_first = 0;  // index of the first one in `metrics`
  TimePoint metrics_sent;
  std::string metrics_left_out;  // Tells people which part of the metrics file is not kept; empty: none.
  TimePoint report_sent;
  bool disk_near = false;  // The agent's disk had little room at some time of the attempt: see OnDiskSpace.
  bool disk_full = false;  // It was full.
  bool abandoned = false;  // A process may still write to the workspace: the slot is not used again.
  Duration report_wait{};  // time until the report is sent again

  AttemptRef ref() const { return assign->attempt; }
  bool OccupiesDevices() const { return stage == Stage::kStarting || stage == Stage::kRunning; }
  bool InRunner() const { return stage == Stage::kHeld || OccupiesDevices(); }
  Phase phase() const;
};

struct AgentSession {
  SessionId id{};
  Duration heartbeat{};
  Duration lease{};
  std::uint64_t sequence = 0;  // number of the last heartbeat
  TimePoint heartbeat_sent;
  // By so much the agent's clock is surely ahead of the controller's, as the Welcome showed; negative: surely behind;
  // 0: neither is sure.
  std::int64_t clock_ahead_ms = 0;
  std::map<std::uint64_t, TimePoint> unanswered;  // number of a heartbeat → when it was sent
};

struct AgentState {
  AgentSettings settings;
  Uuid incarnation;
  MachineIdentity identity;
  Offer offer;
  bool stopping = false;      // See OnStop.
  bool runner_ready = false;  // The runner's table has been read: the agent knows which attempts it holds.
  bool runner_known = false;  // This process has read a runner's table at least once.
  bool runner_holds = false;  // The runner can hold a job until another one is over.
  std::optional<AgentSession> session;
  std::uint64_t nonce = 0;   // nonce of the last Register
  bool registering = false;  // The last Register has no answer yet.
  int register_tries = 0;    // number of Registers since the last answer
  TimePoint register_next;   // earliest time of the next Register
  TimePoint register_sent;
  WallTime register_sent_wall{};
  std::optional<TimePoint> lease_until;   // absent: no lease so far
  Duration lease_grace{};                 // for the ending jobs, after lease_until; then the controller's lease is over
  FreeSpace disk_free;                    // as found last
  std::optional<TimePoint> disk_full_at;  // when the disk was last found full
  std::string condition;                  // reason why the agent takes no new jobs; empty: none
  std::string refused;                    // reason why the controller refuses this agent; empty: none
  std::map<AttemptRef, HeldJob> jobs;
  std::deque<AttemptRef> waiting;                             // attempts in stage kWaiting, in order
  std::deque<AttemptRef> held;                                // attempts in stage kHeld, in order
  std::set<AttemptRef> without_successor;                     // attempts that occupy devices without a successor
  std::deque<std::pair<TimePoint, AttemptRef>> just_started;  // attempts with `shown` unset, and when to set `shown`
  std::set<AttemptRef> reporting;                             // attempts in stage kReporting or with metrics to send
  // A slot is a numbered workspace and spool below the state folder; one job after another uses the same slot.
  std::uint32_t slots_made = 0;
  std::vector<std::uint32_t> free_slots;
  std::map<AttemptRef, std::uint32_t> clearing;  // slots of forgotten attempts, until they are cleared
  std::uint64_t cpu_milli_used = 0;
  std::uint64_t memory_used = 0;
  // Attempts that the agent forgot lately: a late, repeated Assign must not run an attempt again.
  std::unordered_set<AttemptRef> done;
  std::deque<std::pair<TimePoint, AttemptRef>> done_order;

  void CheckInvariants() const;  // Aborts if counters, queues and stages disagree.
};

}  // namespace furrow
