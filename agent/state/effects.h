// Declares the commands of the agent's reactor to its data threads and the events that the threads report, as values.
// agent/inputs/workspace.h and agent/uploads/uploader.h carry the commands out on a machine, the simulator carries
// them out on a virtual clock.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "agent/runner/protocol.h"
#include "common/base/ids.h"
#include "schemas/agent.h"

namespace furrow {

// ---- workspace: before the first step --------------------------------------------------------------------

// Makes the folder and puts the trees into it in the order of `trees`: of two files with one path the later wins.
// Prepared or PrepareFailed answers. The command waits while the controller is away.
struct Prepare {
  AttemptRef attempt;
  std::string dir;  // absolute; made if missing, emptied if not
  std::vector<Hash> trees;
  friend bool operator==(const Prepare&, const Prepare&) = default;
};
// Stops a preparation that is not over: no event about the attempt follows. Removes nothing.
struct CancelPrepare {
  AttemptRef attempt;
  friend bool operator==(const CancelPrepare&, const CancelPrepare&) = default;
};
// Sets the size that the cache is cut back to from now on.
struct LimitCache {
  std::uint64_t bytes = 0;
  friend bool operator==(const LimitCache&, const LimitCache&) = default;
};
using WorkspaceCommand = std::variant<Prepare, CancelPrepare, LimitCache>;

struct Prepared {
  AttemptRef attempt;
  friend bool operator==(const Prepared&, const Prepared&) = default;
};
struct PrepareFailed {
  AttemptRef attempt;
  std::string message;     // for Outcome::detail
  bool permanent = false;  // The inputs do not go together: another try would end the same way.
  friend bool operator==(const PrepareFailed&, const PrepareFailed&) = default;
};
using WorkspaceEvent = std::variant<Prepared, PrepareFailed>;

// ---- uploader: from the first step on --------------------------------------------------------------------

// Streams the attempt's log, which grows in `spool` from now on. Nothing travels in the first 20 ms, so that the log
// of a job that is over by then can go inline. After a restart of the agent the reactor sends Follow again with
// `resumed`, and the stream goes on where the controller's log ends.
struct Follow {
  AttemptRef attempt;
  std::string spool;               // absolute
  std::string metrics;             // absolute; empty: none
  std::uint64_t metrics_done = 0;  // lines that an earlier process of the agent reported
  bool resumed = false;            // An earlier process of the agent may have sent a part of the log.
  friend bool operator==(const Follow&, const Follow&) = default;
};
// Says that the log is complete and `length` bytes long; kAllThatIsThere: its length is not known. LogInline or
// LogStreamed answers, after the last MetricsRead.
inline constexpr std::uint64_t kAllThatIsThere = runner::kAllThatIsThere;
struct FinishLog {
  AttemptRef attempt;
  std::uint64_t length = 0;
  friend bool operator==(const FinishLog&, const FinishLog&) = default;
};
// Uploads the files that match to the controller. ArtifactsCommitted or ArtifactsFailed answers.
struct Collect {
  AttemptRef attempt;
  std::string dir;                    // the workspace
  std::vector<std::string> patterns;  // at least one
  friend bool operator==(const Collect&, const Collect&) = default;
};
// Forgets the attempt in any state (only Cleared follows about it) and makes its slot as good as new for another
// attempt: empties the folder and the spool and removes the metrics file. A missing file or folder is no error. The
// folder and a small spool are kept, since file systems are slow at making and deleting inodes. A folder that cannot be
// emptied is put aside (agent/slot/workspace_folder.h). Cleared answers, unless even that fails: then the log says so,
// and the slot is not used again.
struct Clear {
  AttemptRef attempt;
  std::string workspace;  // absolute, like the others
  std::string spool;
  std::string metrics;
  friend bool operator==(const Clear&, const Clear&) = default;
};
using UploadCommand = std::variant<Follow, FinishLog, Collect, Clear>;

// Brings the whole log, of which nothing has travelled.
struct LogInline {
  AttemptRef attempt;
  std::string bytes;  // ≤ kSmallLogBytes
  Hash hash;
  friend bool operator==(const LogInline&, const LogInline&) = default;
};
// Says that the whole log is sealed and durable on the controller.
struct LogStreamed {
  AttemptRef attempt;
  std::uint64_t length = 0;
  Hash hash;
  friend bool operator==(const LogStreamed&, const LogStreamed&) = default;
};
// Brings the metrics numbered [first, first + lines.size()) of the metrics file. `at` is not set: the reactor knows
// the time.
struct MetricsRead {
  AttemptRef attempt;
  std::uint64_t first = 0;
  std::vector<MetricLine> lines;
  std::string left_out;  // Tells people which part of the file so far was left out; empty: none.
  friend bool operator==(const MetricsRead&, const MetricsRead&) = default;
};
struct ArtifactsCommitted {
  AttemptRef attempt;
  Hash tree;            // The tree is whole and durable on the controller. 0: there was nothing to keep.
  std::string lacking;  // words about patterns that matched nothing and files that could not be kept; empty: none
  std::string note;     // words about what matched and is no content of a tree; empty: none
  friend bool operator==(const ArtifactsCommitted&, const ArtifactsCommitted&) = default;
};
struct ArtifactsFailed {
  AttemptRef attempt;
  std::string message;     // for Outcome::detail
  bool permanent = false;  // They cannot be collected, whichever controller takes them.
  friend bool operator==(const ArtifactsFailed&, const ArtifactsFailed&) = default;
};
struct Cleared {
  AttemptRef attempt;
  friend bool operator==(const Cleared&, const Cleared&) = default;
};
using UploadEvent = std::variant<LogInline, LogStreamed, MetricsRead, ArtifactsCommitted, ArtifactsFailed, Cleared>;

}  // namespace furrow
