// These functions render the output of the commands for a person, as text. They are pure: the same values give the same
// text.
#pragma once

#include <string>
#include <vector>

#include "common/chunks/tree.h"
#include "common/wire/metrics.h"
#include "controller/cli/show/text.h"
#include "schemas/client.h"

namespace furrow::cli {

struct ViewStyle {
  bool colour = false;
  std::size_t width = 0;  // columns; 0: no limit
  WallTime now{};
};

// `pipeline` and `name` are the ones that the user asked for; empty: all.
std::string RenderRuns(const RunList& list, const ViewStyle& style);
std::string RenderAgents(const AgentList& list, const ViewStyle& style);
std::string RenderReasons(const WaitReasons& reasons, const ViewStyle& style);

// Renders a run and its jobs as a tree, each job beneath the last of the jobs that it needs; shards are summed up.
std::string RenderRun(const RunSummary& run, const std::vector<JobView>& jobs, const ViewStyle& style);
// Renders every shard on a separate line.
std::string RenderShards(const RunSummary& run, const std::vector<JobView>& jobs, const ViewStyle& style);

struct ArtifactFile {
  std::string job;  // "test/3"
  std::string path;
  std::string kind;  // "file", "executable", "link", "folder"
  std::uint64_t size = 0;
};
std::string RenderArtifacts(const std::vector<ArtifactFile>& files, const ViewStyle& style);

// Renders one line for each series: the count, first, last, least and greatest value, and the course.
std::string RenderMetricTable(const MetricsAnswer& metrics, const ViewStyle& style);
// Renders a curve in braille dots, 12 lines high, with its axes.
std::string RenderMetricPlot(const MetricSeries& series, const ViewStyle& style);

// Returns a name like "fashion#42".
std::string NameOf(const RunSummary& run);
// Returns "test", or "test/3" where the job has shards.
std::string NameOf(const JobView& job);
// Explains in one line why an attempt did not pass, or what is remarkable about one that passed; empty: nothing.
std::string Explain(const Outcome& outcome);
// Explains the outcome of the job's newest attempt, which there must be, and names the step that ended it.
std::string ExplainEnd(const JobView& job);
// Returns the metrics in the order in which they matter: what only counts (epoch, step, lr, time) comes last.
Metrics Ordered(Metrics metrics);
// Returns the state as a person is told it: "stuck" for a run that waits for what cannot come.
const char* StateOf(const RunSummary& run);

Colour ColourOf(JobState state);
Colour ColourOf(RunState state);
const char* GlyphOf(JobState state);

// A JobSum sums up the shards of one job.
struct JobSum {
  std::string job;
  JobState state = JobState::kBlocked;  // the state of the whole job
  std::uint32_t shards = 0;
  std::uint32_t ended = 0;
  std::uint32_t failed = 0;
  std::vector<std::string> agents;  // the agents of shards that run or ran, each once
  WallTime ready{}, started{}, ended_at{};
  Epoch epoch{};        // the highest epoch
  std::string branch;   // the branch in the tree, like "├─ "
  std::string note;     // how its first failed shard failed, or what is to be said of another, or what it waits for
  int note_weight = 0;  // Of notes of equal weight the first counts.
  std::uint32_t more_notes = 0;  // of the same weight
  Metrics metrics;
};
// Sums up jobs in the order of the tree.
std::vector<JobSum> SumUp(const std::vector<JobView>& jobs);

}  // namespace furrow::cli
