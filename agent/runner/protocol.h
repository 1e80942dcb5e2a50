// Defines the protocol of agent and runner on <state>/runner.sock.
//
// A frame is a u32 length of the rest, a u8 type and a body; little-endian, at most kMaxFrameBytes. The runner is older
// than the agent after every upgrade, so the protocol grows in one way only: by new fields at the end of a body. A
// decoder ignores unknown fields, and reads a field that version 1 lacked only if the body has one. kProtocolVersion
// changes when such growth is not enough.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/ids.h"

namespace furrow::runner {

inline constexpr std::uint32_t kProtocolVersion = 1;
inline constexpr std::size_t kMaxFrameBytes = 8u << 20;  // A larger frame closes the connection.
inline constexpr std::size_t kMaxBlobBytes = 4u << 20;
inline constexpr std::uint64_t kAllThatIsThere = ~std::uint64_t{0};  // of Exited::spool_bytes: the length is not known

// ---- agent to runner -----------------------------------------------------------------------------

struct Step {
  std::vector<std::string> argv;  // argv[0]: a path (relative to the workspace), or a name looked up on the job's PATH
  std::string name;               // for people, in messages
  friend bool operator==(const Step&, const Step&) = default;
};

// Runs the steps in order until one of them fails. The runner journals a Start before it spawns a process, and answers
// with Started and later Exited, or with Exited alone if the job cannot start. A known ref does not run again: Started
// or Exited answers, as the attempt's state is.
//
// With `after` the attempt is held until the attempt `after` is over, and then starts without another message of the
// agent. If `after` does not run, the attempt starts at once. The same Start without `after` releases a held attempt.
struct Start {
  AttemptRef ref;
  std::string workspace;         // absolute; working directory of the steps; made (0700) if missing
  std::string spool;             // absolute; stdout and stderr are appended to this file, whose folder exists.
  std::string metrics;           // absolute; handed on as FURROW_METRICS; empty: none
  std::vector<std::string> env;  // the whole environment, KEY=VALUE; the runner adds FURROW_TOKEN and FURROW_METRICS
  std::vector<Step> steps;       // at least one
  std::uint64_t timeout_ms = 0;  // over all steps; 0: none
  std::uint64_t kill_grace_ms =
      0;  // from SIGTERM to SIGKILL where the runner ends the job (timeout, left-behind processes)
  std::uint64_t log_quota_bytes = 0;  // A job that writes more is killed, its spool cut: read no further; 0: none.
  std::string blob;                   // The runner keeps the agent's blob in the journal and returns it in a Listing.
  std::optional<AttemptRef> after;    // only for a runner whose Hello says `holds`
  friend bool operator==(const Start&, const Start&) = default;
};

// Ends the attempt: sends SIGTERM to every process, and SIGKILL after the grace. Exited answers when none of the
// processes is left. Of two Kills the earlier deadline holds. An unknown attempt is ignored.
struct Kill {
  AttemptRef ref;
  std::string reason;          // for people; also the last line of the spool
  std::uint64_t grace_ms = 0;  // 0: SIGKILL at once
  friend bool operator==(const Kill&, const Kill&) = default;
};

// Drops an attempt that has exited. A running or unknown attempt is ignored.
struct Forget {
  AttemptRef ref;
  friend bool operator==(const Forget&, const Forget&) = default;
};

// Asks for a Listing.
struct List {
  friend bool operator==(const List&, const List&) = default;
};

// Ends the runner when the last job has exited, at once if no job runs. With kill_jobs the runner first ends every job,
// each with its own kill_grace_ms. The runner accepts no Start any more.
struct Shutdown {
  bool kill_jobs = false;
  friend bool operator==(const Shutdown&, const Shutdown&) = default;
};

// Sets the time until which the jobs may run, since the agent has heard the controller; a later Lease replaces an
// earlier one. When the lease runs out, every job is ended as kLost with its own kill_grace_ms, as far as `kill_ns`
// leaves time for it: the controller is about to assign the jobs to another agent, and the runner's own agent may be
// stopped or dead. Before the first Lease the jobs have no limit.
struct Lease {
  std::uint64_t until_ns = 0;  // CLOCK_BOOTTIME of this machine
  std::uint64_t kill_ns = 0;   // when no process of a job may be left; 0: not said, 10 s after until_ns
  friend bool operator==(const Lease&, const Lease&) = default;
};

using Request = std::variant<Start, Kill, Forget, List, Shutdown, Lease>;

// ---- runner to agent: sent to every connected client ---------------------------------------------

struct Started {
  AttemptRef ref;
  std::int64_t pid = 0;  // pid and session of the first step
  WallTime at{};
  friend bool operator==(const Started&, const Started&) = default;
};

enum class OutcomeKind : std::uint8_t {
  kExited = 1,       // code: exit code; passed if 0
  kSignaled = 2,     // code: the signal that ended the step, not sent by the runner
  kStartFailed = 3,  // text: the reason; the step never ran
  kTimedOut = 4,     // The job ran longer than timeout_ms.
  kKilled = 5,       // text: the reason in the Kill
  kLogQuota = 6,     // The job wrote more than log_quota_bytes.
  kLost = 7,         // The runner died or the lease ran out; the job's processes were killed.
};

struct Outcome {
  OutcomeKind kind = OutcomeKind::kLost;
  std::int32_t code = 0;
  std::string text;
  bool Passed() const { return kind == OutcomeKind::kExited && code == 0; }
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

// Says that the attempt is over: none of its processes is left, and the spool no longer changes.
struct Exited {
  AttemptRef ref;
  std::uint32_t step = 0;  // index of the step that ended the job: the failed one, or the last
  Outcome outcome;
  std::uint64_t spool_bytes = 0;  // the spool's final length, or kAllThatIsThere
  WallTime started{};             // Wall times jump; elapsed_ms does not.
  WallTime ended{};
  std::uint64_t elapsed_ms = 0;     // 0: unknown, since the runner died, or no step ran
  std::uint64_t max_rss_bytes = 0;  // resident memory of the largest process
  std::uint64_t cpu_us = 0;         // user and system time of all steps, with the children that they waited for
  friend bool operator==(const Exited&, const Exited&) = default;
};

struct Attempt {
  AttemptRef ref;
  bool running = false;
  WallTime started{};
  Exited exited;                       // valid if not running
  std::string blob;                    // the blob of the Start
  std::optional<AttemptRef> held_for;  // A held attempt counts as running, but has no process yet: see Start::after.
  friend bool operator==(const Attempt&, const Attempt&) = default;
};

// Lists every attempt of the runner except forgotten ones, in order of the refs.
struct Listing {
  std::vector<Attempt> attempts;
  bool incomplete = false;  // Parts of the journal were lost: an attempt that is not listed may have run all the same.
  friend bool operator==(const Listing&, const Listing&) = default;
};

using Event = std::variant<Started, Exited, Listing>;

// On the wire a Listing is one Listed for each attempt, then ListEnd, so that no number of attempts exceeds the cap.
struct Hello {                // Hello is the first frame in each direction.
  std::uint32_t version = 0;  // kProtocolVersion of the sender
  std::int64_t pid = 0;
  bool holds = false;  // The sender is a runner that knows Start::after.
  friend bool operator==(const Hello&, const Hello&) = default;
};
struct Listed {
  Attempt attempt;
  friend bool operator==(const Listed&, const Listed&) = default;
};
struct ListEnd {
  bool incomplete = false;  // Listing::incomplete
  friend bool operator==(const ListEnd&, const ListEnd&) = default;
};

using Frame = std::variant<Hello, Start, Kill, Forget, List, Shutdown, Lease, Started, Exited, Listed, ListEnd>;

// ---- bytes ---------------------------------------------------------------------------------------

class Writer;
class Reader;

// Appends the whole frame to `out`. kInvalid: the frame is larger than kMaxFrameBytes or its blob larger than
// kMaxBlobBytes, and `out` is unchanged.
Status AppendFrame(const Frame& frame, std::string& out);

// Write and read the parts of bodies that the journal shares with the socket.
void WriteRef(Writer& writer, const AttemptRef& ref);
AttemptRef ReadRef(Reader& reader);
void WriteExited(Writer& writer, const Exited& exited);
Exited ReadExited(Reader& reader);

// Cuts a stream of bytes into frames.
class FrameReader {
 public:
  // Takes `bytes` and appends every whole frame to `frames`. kCorrupt: a length, a type or a body is impossible; then
  // the stream is lost, and the caller should close the connection.
  Status Feed(std::string_view bytes, std::vector<Frame>& frames);

 private:
  std::string pending_;  // beginning of a frame whose end has not arrived
};

// Returns a ref's name in messages: "job 12 attempt 3".
std::string Describe(const AttemptRef& ref);

}  // namespace furrow::runner
