// What the commands show a person, as text. Pure: the same values give the same text.
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

// `pipeline`, `name`: what was asked for; empty: all.
std::string RenderRuns(const RunList& list, const std::string& pipeline, const ViewStyle& style);
std::string RenderAgents(const AgentList& list, const ViewStyle& style);
std::string RenderReasons(const WaitReasons& reasons, const ViewStyle& style);

// A run and its jobs as a tree, each beneath the last of the jobs that it needs; shards are summed up.
std::string RenderRun(const RunSummary& run, const std::vector<JobView>& jobs, const ViewStyle& style);
// Every shard on a line of its own.
std::string RenderShards(const RunSummary& run, const std::vector<JobView>& jobs, const ViewStyle& style);

struct ArtifactFile {
  std::string job;  // "test/3"
  std::string path;
  std::string kind;  // "file", "executable", "link", "folder"
  std::uint64_t size = 0;
};
std::string RenderArtifacts(const std::vector<ArtifactFile>& files, const ViewStyle& style);

// One line each: how many values, first, last, least, most, and their course.
std::string RenderMetricTable(const MetricsAnswer& metrics, const std::string& name, const ViewStyle& style);
// A curve in braille dots, 12 lines high, with its axes.
std::string RenderMetricPlot(const MetricSeries& series, const ViewStyle& style);

// "fashion#42".
std::string NameOf(const RunSummary& run);
// "test", or "test/3" where it has shards.
std::string NameOf(const JobView& job);
// In one line, why an attempt did not pass, or what of one that did should be known; empty: nothing.
std::string Explain(const Outcome& outcome);

Colour ColourOf(JobState state);
Colour ColourOf(RunState state);
const char* GlyphOf(JobState state);

// The shards of one job together.
struct JobSum {
  std::string job;
  JobState state = JobState::kBlocked;  // of the whole
  std::uint32_t shards = 0;
  std::uint32_t ended = 0;
  std::uint32_t failed = 0;
  std::vector<std::string> agents;  // of its shards that run or ran, each once
  WallTime ready{}, started{}, ended_at{};
  Epoch epoch{};       // the highest
  std::string branch;  // "├─ ", its place in the tree
  std::string note;    // what it waits for, or how it failed
  Metrics metrics;
};
// In the order of the tree.
std::vector<JobSum> SumUp(const std::vector<JobView>& jobs);

}  // namespace furrow::cli
