// What the agent's reactor asks of its data threads and what they report, as values: agent/inputs/workspace.h and
// agent/uploads/uploader.h do these for real, the simulator does them on a virtual clock.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "common/base/ids.h"
#include "schemas/agent.h"

namespace furrow {

// ---- workspace: before the first step --------------------------------------------------------------------

// Make the folder and put the trees into it, in this order; of two files with one path the later wins.
// Answered by Prepared or PrepareFailed. While the controller is away it waits.
struct Prepare {
  AttemptRef attempt;
  std::string dir;  // absolute; made if missing, emptied if not
  std::vector<Hash> trees;
  friend bool operator==(const Prepare&, const Prepare&) = default;
};
// Stop preparing, if it is still at it: no event about this attempt will follow. Removes nothing.
struct CancelPrepare {
  AttemptRef attempt;
  friend bool operator==(const CancelPrepare&, const CancelPrepare&) = default;
};
// The cache is cut back to this from now on.
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
  bool permanent = false;  // the inputs do not go together: another try would end the same way
  friend bool operator==(const PrepareFailed&, const PrepareFailed&) = default;
};
using WorkspaceEvent = std::variant<Prepared, PrepareFailed>;

// ---- uploader: from the first step on --------------------------------------------------------------------

// The attempt's log grows in `spool` from now on. Nothing travels in the first 20 ms, so that the log of a
// job that is over by then can go inline. Again after a restart of the agent, with `resumed`: goes on where
// the controller's log ends.
struct Follow {
  AttemptRef attempt;
  std::string spool;               // absolute
  std::string metrics;             // absolute; empty: none
  std::uint64_t metrics_done = 0;  // lines that were reported before, by an earlier process of the agent
  bool resumed = false;            // an earlier process of the agent may have sent some of it
  friend bool operator==(const Follow&, const Follow&) = default;
};
// The log is complete and `length` bytes long. Answered, after the last MetricsRead, by LogInline or LogStreamed.
struct FinishLog {
  AttemptRef attempt;
  std::uint64_t length = 0;
  friend bool operator==(const FinishLog&, const FinishLog&) = default;
};
// Bring what matches to the controller. Answered by ArtifactsCommitted, ArtifactMissing or ArtifactsFailed.
struct Collect {
  AttemptRef attempt;
  std::string dir;                    // the workspace
  std::vector<std::string> patterns;  // at least one; each must match something
  friend bool operator==(const Collect&, const Collect&) = default;
};
// Forget the attempt, whatever it was at (no event about it but Cleared will follow), and make its slot as good
// as new for another: folder and spool empty, metrics file gone; what is missing is fine. Folder and small spool
// are kept, since making and deleting inodes is what file systems are slow at. Answered by Cleared, except
// where something cannot be removed: the log says so, and the slot is not used again.
struct Clear {
  AttemptRef attempt;
  std::string workspace;  // absolute, like the others
  std::string spool;
  std::string metrics;
  friend bool operator==(const Clear&, const Clear&) = default;
};
using UploadCommand = std::variant<Follow, FinishLog, Collect, Clear>;

// The whole log, which never travelled.
struct LogInline {
  AttemptRef attempt;
  std::string bytes;  // ≤ kSmallLogBytes
  Hash hash;
  friend bool operator==(const LogInline&, const LogInline&) = default;
};
// The whole log is sealed and durable on the controller.
struct LogStreamed {
  AttemptRef attempt;
  std::uint64_t length = 0;
  Hash hash;
  friend bool operator==(const LogStreamed&, const LogStreamed&) = default;
};
// Lines [first, first + lines.size()) of the metrics file that are metrics. `at` is not set: the reactor knows the
// time.
struct MetricsRead {
  AttemptRef attempt;
  std::uint64_t first = 0;
  std::vector<MetricLine> lines;
  std::string left_out;  // what of the file so far was left out, for people; empty: nothing
  friend bool operator==(const MetricsRead&, const MetricsRead&) = default;
};
struct ArtifactsCommitted {
  AttemptRef attempt;
  Hash tree;  // whole and durable on the controller
  friend bool operator==(const ArtifactsCommitted&, const ArtifactsCommitted&) = default;
};
struct ArtifactMissing {
  AttemptRef attempt;
  std::string pattern;  // that matched nothing
  friend bool operator==(const ArtifactMissing&, const ArtifactMissing&) = default;
};
struct ArtifactsFailed {
  AttemptRef attempt;
  std::string message;     // for Outcome::detail
  bool permanent = false;  // they are what no controller takes, a link that leaves the workspace, say
  friend bool operator==(const ArtifactsFailed&, const ArtifactsFailed&) = default;
};
struct Cleared {
  AttemptRef attempt;
  friend bool operator==(const Cleared&, const Cleared&) = default;
};
using UploadEvent =
    std::variant<LogInline, LogStreamed, MetricsRead, ArtifactsCommitted, ArtifactMissing, ArtifactsFailed, Cleared>;

}  // namespace furrow
