// What agent and runner say to each other over <state>/runner.sock.
//
// A frame is u32 length of what follows, u8 type, body; little-endian, at most kMaxFrameBytes.
// The runner is older than the agent after every upgrade, so the protocol grows in one way only:
// new fields at the end of a body (a decoder ignores what it does not know, and reads a field that
// version 1 lacked only where it is there). kProtocolVersion changes when that is not enough.
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
inline constexpr std::size_t kMaxFrameBytes = 8u << 20;  // a larger frame closes the connection
inline constexpr std::size_t kMaxBlobBytes = 4u << 20;

// ---- agent to runner -----------------------------------------------------------------------------

struct Step {
  std::vector<std::string> argv;  // argv[0]: a path (relative to the workspace), or a name looked up on the job's PATH
  std::string name;               // for people, in messages
  friend bool operator==(const Step&, const Step&) = default;
};

// Runs the steps in order, until one of them fails. Journalled before anything is spawned. Answered
// by Started, later by Exited; by Exited alone if the job could not start. A ref that the runner has
// already is not run again: it is answered by Started or Exited, whichever is true.
//
// With `after` it is held until that attempt is over, and takes its place without a word of the agent in between;
// nothing is held for an attempt that does not run. The same Start without `after` lets a held one go at once.
struct Start {
  AttemptRef ref;
  std::string workspace;         // absolute; working directory of the steps; made (0700) if missing
  std::string spool;             // absolute; stdout and stderr are appended to it; its folder exists
  std::string metrics;           // absolute; handed on as FURROW_METRICS; empty: none
  std::vector<std::string> env;  // the whole environment, KEY=VALUE; the runner adds FURROW_TOKEN and FURROW_METRICS
  std::vector<Step> steps;       // at least one
  std::uint64_t timeout_ms = 0;  // over all steps; 0: none
  std::uint64_t kill_grace_ms =
      0;  // from SIGTERM to SIGKILL where the runner ends the job (timeout, left-behind processes)
  std::uint64_t log_quota_bytes = 0;  // a job that writes more is killed, its spool cut: read no further; 0: none
  std::string blob;                   // the agent's own; kept in the journal, given back by Listing
  std::optional<AttemptRef> after;    // only to a runner whose Hello says `holds`
  friend bool operator==(const Start&, const Start&) = default;
};

// Ends the attempt: SIGTERM to every process, after the grace SIGKILL. Answered by Exited when none
// of its processes is left. Again: the earlier deadline holds. No such attempt: nothing happens.
struct Kill {
  AttemptRef ref;
  std::string reason;          // for people; also the last line of the spool
  std::uint64_t grace_ms = 0;  // 0: SIGKILL at once
  friend bool operator==(const Kill&, const Kill&) = default;
};

// Drops an attempt that has exited. Nothing happens if it is running or not known.
struct Forget {
  AttemptRef ref;
  friend bool operator==(const Forget&, const Forget&) = default;
};

// Asks for a Listing.
struct List {
  friend bool operator==(const List&, const List&) = default;
};

// Ends the runner. With kill_jobs: after killing every job (each with its own kill_grace_ms); without:
// at once if nothing runs, else when the last job has exited. No Start is accepted any more.
struct Shutdown {
  bool kill_jobs = false;
  friend bool operator==(const Shutdown&, const Shutdown&) = default;
};

// The agent may run jobs until then, because the controller was heard; a later Lease replaces it. When it runs
// out every job is ended (with its own kill_grace_ms) as kLost: the controller is about to give them to another
// agent, and our own agent may be stopped or dead. Until the first Lease there is none.
struct Lease {
  std::uint64_t until_ns = 0;  // CLOCK_MONOTONIC of this machine
  friend bool operator==(const Lease&, const Lease&) = default;
};

using Request = std::variant<Start, Kill, Forget, List, Shutdown, Lease>;

// ---- runner to agent: told to every connected client ---------------------------------------------

struct Started {
  AttemptRef ref;
  std::int64_t pid = 0;  // of the first step; also its session
  WallTime at{};
  friend bool operator==(const Started&, const Started&) = default;
};

enum class OutcomeKind : std::uint8_t {
  kExited = 1,       // code: exit code; passed if 0
  kSignaled = 2,     // code: the signal that ended the step, not sent by the runner
  kStartFailed = 3,  // text: why; the step never ran
  kTimedOut = 4,     // timeout_ms had passed
  kKilled = 5,       // text: the reason given with Kill
  kLogQuota = 6,     // log_quota_bytes were exceeded
  kLost = 7,         // the runner died, or the lease ran out; what was left of the job was killed
};

struct Outcome {
  OutcomeKind kind = OutcomeKind::kLost;
  std::int32_t code = 0;
  std::string text;
  bool Passed() const { return kind == OutcomeKind::kExited && code == 0; }
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

// The attempt is over: none of its processes is left, the spool will not change any more.
struct Exited {
  AttemptRef ref;
  std::uint32_t step = 0;  // index of the step that ended the job: the failed one, or the last
  Outcome outcome;
  std::uint64_t spool_bytes = 0;  // the spool's final length
  WallTime started{};             // wall times jump; elapsed_ms does not
  WallTime ended{};
  std::uint64_t elapsed_ms = 0;     // 0 for lost
  std::uint64_t max_rss_bytes = 0;  // of the largest process
  std::uint64_t cpu_us = 0;         // user and system, of all steps with the children that they waited for
  friend bool operator==(const Exited&, const Exited&) = default;
};

struct Attempt {
  AttemptRef ref;
  bool running = false;
  WallTime started{};
  Exited exited;                       // if not running
  std::string blob;                    // as given with Start
  std::optional<AttemptRef> held_for;  // running, but no process yet: see Start::after
  friend bool operator==(const Attempt&, const Attempt&) = default;
};

// Every attempt that the runner has and that was not forgotten, in order of their refs.
struct Listing {
  std::vector<Attempt> attempts;
  friend bool operator==(const Listing&, const Listing&) = default;
};

using Event = std::variant<Started, Exited, Listing>;

// On the wire a Listing is one Listed for each attempt, then ListEnd: so the frame's cap holds for any number.
struct Hello {                // first frame in each direction
  std::uint32_t version = 0;  // kProtocolVersion of the sender
  std::int64_t pid = 0;
  bool holds = false;  // of a runner: it knows Start::after
  friend bool operator==(const Hello&, const Hello&) = default;
};
struct Listed {
  Attempt attempt;
  friend bool operator==(const Listed&, const Listed&) = default;
};
struct ListEnd {
  friend bool operator==(const ListEnd&, const ListEnd&) = default;
};

using Frame = std::variant<Hello, Start, Kill, Forget, List, Shutdown, Lease, Started, Exited, Listed, ListEnd>;

// ---- bytes ---------------------------------------------------------------------------------------

class Writer;
class Reader;

// Appends the whole frame to `out`. kInvalid and `out` unchanged: larger than kMaxFrameBytes, or a blob larger
// than kMaxBlobBytes.
Status AppendFrame(const Frame& frame, std::string& out);

// Bodies that the journal shares with the socket.
void WriteRef(Writer& writer, const AttemptRef& ref);
AttemptRef ReadRef(Reader& reader);
void WriteExited(Writer& writer, const Exited& exited);
Exited ReadExited(Reader& reader);

// Cuts a stream of bytes into frames.
class FrameReader {
 public:
  // Takes `bytes` and appends every whole frame to `frames`. kCorrupt: a length, a type or a body that cannot be;
  // the stream is lost then, and the connection should be closed.
  Status Feed(std::string_view bytes, std::vector<Frame>& frames);

 private:
  std::string pending_;  // the start of a frame whose end is not here yet
};

// "job 12 attempt 3": how messages name a ref.
std::string Describe(const AttemptRef& ref);

}  // namespace furrow::runner
