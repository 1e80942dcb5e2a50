// What the agent's reactor asks of its threads, and what they tell it. Plain values, so that the simulator
// can stand in for the threads (workspace.h, uploader.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "common/ids.h"
#include "common/messages_agent.h"

namespace furrow {

// ---- workspace: makes inputs present ------------------------------------------------------------------

// Makes `folder` (which does not exist yet) and puts the trees into it, in order; a later one wins where two
// have the same path. Answered by Prepared, once; tried again by itself while the controller is away.
struct Prepare {
  AttemptRef attempt;
  std::string folder;                      // absolute
  std::vector<Hash> trees;
};
// Gives up a Prepare; no Prepared follows (one may be under way already).
struct AbandonPrepare {
  AttemptRef attempt;
};
// Deletes these folders and files with all they contain, in the background. The reactor does not hear of it.
struct RemovePaths {
  std::vector<std::string> paths;          // absolute, inside the agent's state folder
};
using WorkspaceCommand = std::variant<Prepare, AbandonPrepare, RemovePaths>;

struct Prepared {
  AttemptRef attempt;
  std::string error;                       // empty: the workspace is whole. Else why it never will be
};
using WorkspaceEvent = std::variant<Prepared>;

// ---- uploader: brings log, metrics and artifacts home -----------------------------------------------------

// From now on send what is in the spool, from where the controller has it, and read metrics lines.
struct FollowOutput {
  AttemptRef attempt;
  std::string spool;                       // absolute; may not exist yet
  std::string metrics;                     // absolute; may not exist yet
};
// The job has ended: the spool is `length` bytes and final. Bring the rest home and seal it. Answered by
// OutputDone, once; tried again by itself while the controller is away. Also without FollowOutput before.
struct FinishOutput {
  AttemptRef attempt;
  std::string spool;
  std::string metrics;
  std::uint64_t length = 0;
};
// Puts the files that match into a tree and brings it home. Answered by ArtifactsDone, once.
struct CollectArtifacts {
  AttemptRef attempt;
  std::string folder;                      // the workspace
  std::vector<std::string> patterns;       // as in JobSpec::artifacts
};
// Nobody wants it any more: stop whatever is under way; no answer follows (one may be under way already).
struct DropOutput {
  AttemptRef attempt;
};
using UploadCommand = std::variant<FollowOutput, FinishOutput, CollectArtifacts, DropOutput>;

// New lines of the metrics file, [first, first + lines.size()).
struct MetricsRead {
  AttemptRef attempt;
  std::uint64_t first = 0;
  std::vector<MetricLine> lines;
};
// The log is sealed on the controller, or short enough to travel in Finished. All metrics were read before.
struct OutputDone {
  AttemptRef attempt;
  std::uint64_t length = 0;
  Hash hash;
  std::optional<std::string> small_log;    // set: nothing of it was sent; at most kSmallLogBytes
};
struct ArtifactsDone {
  AttemptRef attempt;
  Hash tree;                               // committed on the controller; zero where `missing` or `error` is set
  std::string missing;                     // the first pattern that matches nothing
  std::string error;                       // why it can never be brought home (a path that cannot travel, say)
};
using UploadEvent = std::variant<MetricsRead, OutputDone, ArtifactsDone>;

}  // namespace furrow
