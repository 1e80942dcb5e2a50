// What is true now on an agent. Owned by the loop thread, changed only by the reactor (agent/reactor/).
// Nothing of it is on disk: the runner's table and the controller's records bring it back.
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
#include "common/base/ids.h"
#include "common/wire/protocol_version.h"
#include "schemas/agent.h"

namespace furrow {

// What an agent's jobs get, from its configuration.
struct AgentSettings {
  std::string software;  // "furrow-agent 0.1.0 (abc)"
  std::string host;
  std::string state_folder;      // absolute
  std::vector<std::string> env;  // KEY=VALUE that every job starts from
  std::string shell;             // absolute path of bash, or of sh where there is no bash
  bool shell_is_bash = true;
  std::string torch_program;  // furrow-torch
  std::string agent_program;  // furrow-agent: for check steps
  Duration kill_grace = std::chrono::seconds(10);
  std::uint64_t log_quota_bytes = 0;  // 0: what the controller says
  std::uint64_t disk_low_bytes = 0;   // with less free space no new jobs; 0: never mind
  ProtocolRange protocol;             // what this agent speaks
  std::uint64_t seed = 0;             // spreads the registrations of many agents
};

// One attempt that the controller gave us, until its report is acknowledged.
struct HeldJob {
  enum class Stage : std::uint8_t {
    kPreparing,   // the workspace is being made
    kWaiting,     // prepared; waits for CPUs and memory
    kHeld,        // the runner has it, to start when the attempt `after` is over; see agent/reactor/devices.h
    kStarting,    // the runner has been told
    kRunning,     // its first process runs
    kCollecting,  // ended; log and artifacts are on their way
    kReporting,   // Finished is sent until it is acknowledged
  };
  std::shared_ptr<const Assign> assign;  // never null
  std::uint32_t slot = 0;                // its workspace and spool; its own until they are cleared
  Stage stage = Stage::kPreparing;
  std::optional<AttemptRef> after;  // kHeld: whose CPUs and memory it gets; none: the runner knows
  std::optional<AttemptRef> next;   // who is held to get ours
  bool killing = false;             // the runner has been told to end it
  bool unwanted = false;            // nobody wants its report: forget it when it has ended
  bool lease_lost = false;          // ended because we did not hear the controller
  bool shown = false;               // Started has been sent and its output is followed
  TimePoint started;                // when the runner said so
  Finished report;                  // filled in as it becomes known
  bool output_done = false;
  bool artifacts_done = false;
  std::deque<MetricLine> metrics;   // not acknowledged yet
  std::uint64_t metrics_first = 0;  // index of the first of them
  TimePoint metrics_sent;
  std::string metrics_left_out;  // what of its metrics file could not be kept, for people; empty: nothing
  TimePoint report_sent;
  bool abandoned = false;  // its workspace may still be written to: the slot is not used again
  Duration report_wait{};  // until the report is sent again

  AttemptRef ref() const { return assign->attempt; }
  bool OccupiesDevices() const { return stage == Stage::kStarting || stage == Stage::kRunning; }
  bool InRunner() const { return stage == Stage::kHeld || OccupiesDevices(); }
  Phase phase() const;
};

struct AgentSession {
  SessionId id{};
  Duration heartbeat{};
  Duration lease{};
  std::uint64_t sequence = 0;  // of the last heartbeat
  TimePoint heartbeat_sent;
  std::int64_t clock_ahead_ms = 0;  // of the controller's, by the Welcome; 0: as far as is known, it is not
  std::map<std::uint64_t, TimePoint> unanswered;  // heartbeats → when they left
};

struct AgentState {
  AgentSettings settings;
  Uuid incarnation;
  MachineIdentity identity;
  Offer offer;
  bool stopping = false;      // see OnStop
  bool runner_ready = false;  // its table has been read: we know what we hold
  bool runner_known = false;  // its table was read once, by this process
  bool runner_holds = false;  // it can be told of a job before its time
  std::optional<AgentSession> session;
  std::uint64_t nonce = 0;   // of the last Register
  bool registering = false;  // it waits for an answer
  int register_tries = 0;    // since the last answer
  TimePoint register_next;   // not before then
  TimePoint register_sent;
  WallTime register_sent_wall{};
  std::optional<TimePoint> lease_until;  // absent: never had one
  std::string condition;                 // why we should get no new jobs; empty: we should
  std::string refused;                   // why the controller would not have us; empty: it did
  std::map<AttemptRef, HeldJob> jobs;
  std::deque<AttemptRef> waiting;                             // prepared, in order
  std::deque<AttemptRef> held;                                // in stage kHeld, in order
  std::set<AttemptRef> without_successor;                     // occupy devices, and nobody is held to get them
  std::deque<std::pair<TimePoint, AttemptRef>> just_started;  // not shown yet: (when to show, which)
  std::set<AttemptRef> reporting;                             // in stage kReporting, or with metrics to send
  // Slots for jobs: workspaces and spools below the state folder, numbered, used again and again.
  std::uint32_t slots_made = 0;
  std::vector<std::uint32_t> free_slots;
  std::map<AttemptRef, std::uint32_t> clearing;  // of attempts that are forgotten
  std::uint64_t cpu_milli_used = 0;
  std::uint64_t memory_used = 0;
  // Attempts acknowledged lately: a doubled Assign that comes late must not run them again.
  std::unordered_set<AttemptRef> done;
  std::deque<std::pair<TimePoint, AttemptRef>> done_order;

  void CheckInvariants() const;  // aborts if counters, queues and stages disagree
};

}  // namespace furrow
