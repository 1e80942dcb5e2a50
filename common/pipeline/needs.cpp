// Checks the graph of needs: every name exists, and there is no cycle.
#include <algorithm>
#include <cstdint>
#include <optional>
#include <unordered_map>
#include <utility>

#include "common/pipeline/job.h"
#include "schemas/agent.h"

namespace furrow::pipeline {

namespace {

struct Edge {
  std::size_t to;  // index of the needed job
  Position position;
};
using Graph = std::vector<std::vector<Edge>>;

Graph ResolveNeeds(const std::vector<JobSpec>& jobs, const std::vector<JobPositions>& positions, Report& report) {
  std::unordered_map<std::string_view, std::size_t> index;
  std::vector<std::string_view> names;
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    index.emplace(jobs[i].name, i);
    names.push_back(jobs[i].name);
  }
  std::size_t comparisons = 200'000;  // bounds the search for typos in a file full of mistakes
  Graph graph(jobs.size());
  std::vector<std::size_t> seen_by(jobs.size(), jobs.size());  // the last job that needs this one
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    for (std::size_t k = 0; k < jobs[i].needs.size(); ++k) {
      const std::string& need = jobs[i].needs[k];
      const Position position = positions[i].needs[k];
      const auto found = index.find(need);
      if (found == index.end()) {
        std::optional<std::string_view> nearest;
        if (comparisons >= names.size()) {
          comparisons -= names.size();
          nearest = NearestWord(need, names);
        }
        report.Add(position, "job " + Quoted(jobs[i].name) + " needs " + Quoted(need) +
                                 ", which is no job of this file" +
                                 (nearest ? "; did you mean " + Quoted(*nearest) + "?" : ""));
      } else if (std::exchange(seen_by[found->second], i) == i) {
        report.Add(position, "job " + Quoted(jobs[i].name) + " needs " + Quoted(need) + " twice");
      } else {
        graph[i].push_back({found->second, position});
      }
    }
  }
  return graph;
}

// Returns "a → b → a"; the middle of a very long cycle is left out.
std::string CycleText(const std::vector<JobSpec>& jobs, const std::vector<std::size_t>& path, std::size_t start) {
  constexpr std::size_t kShown = 20;
  const std::size_t length = path.size() - start;
  std::string text;
  for (std::size_t i = 0; i < length; ++i) {
    if (length > kShown && i == kShown - 1) {
      text += "… → ";
      i = length - 1;
    }
    text += jobs[path[start + i]].name + " → ";
  }
  return text + jobs[path[start]].name;
}

// Bounds what an Assign takes beside the job itself, its inputs and its metrics: GPUs, names, a branch.
constexpr std::size_t kRestBytes = 192 << 10;

// Reports jobs that do not fit: a job travels to its agent in one message, with the trees of all needed shards and the
// checked metrics.
void CheckAssignable(const std::vector<JobSpec>& jobs, const Graph& graph, const std::vector<JobPositions>& positions,
                     Report& report) {
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    std::size_t trees = 1;
    for (const Edge& edge : graph[i])
      if (!jobs[edge.to].artifacts.empty()) trees += jobs[edge.to].shards;
    std::size_t metrics = 0;
    for (const Step& step : jobs[i].steps)
      if (const auto* check = std::get_if<CheckStep>(&step.action))
        for (const MetricRule& rule : check->rules) metrics += WireBytes(Metric{rule.metric, 0});
    const std::size_t bytes = WireBytes(jobs[i]) + trees * sizeof(Hash) + metrics + kRestBytes;
    if (bytes > kMaxToAgentFrame)
      report.Add(positions[i].job,
                 "job " + Quoted(jobs[i].name) + " cannot be sent to an agent: the artifacts of " +
                     std::to_string(trees - 1) + " shards that it needs and its own texts take " +
                     std::to_string((bytes >> 10) + 1) + " KiB, and one message holds " +
                     std::to_string(kMaxToAgentFrame >> 10) +
                     " KiB; keep large texts in files beside it, or gather the artifacts in several jobs");
  }
}

}  // namespace

void CheckNeeds(const std::vector<JobSpec>& jobs, const std::vector<JobPositions>& positions, Report& report) {
  const Graph graph = ResolveNeeds(jobs, positions, report);
  CheckAssignable(jobs, graph, positions, report);
  enum class Mark : std::uint8_t { kNew, kOnPath, kDone };
  std::vector<Mark> marks(jobs.size(), Mark::kNew);
  std::vector<std::size_t> path;       // the jobs from the first one to the current one
  std::vector<std::size_t> next_edge;  // the next edge of each job on the path

  const auto enter = [&](std::size_t job) {
    marks[job] = Mark::kOnPath;
    path.push_back(job);
    next_edge.push_back(0);
  };
  // The search goes depth first with a stack of its own, because a chain of needs may be as long as the file.
  for (std::size_t root = 0; root < jobs.size(); ++root) {
    if (marks[root] == Mark::kNew) enter(root);
    while (!path.empty()) {
      const std::size_t job = path.back();
      if (next_edge.back() == graph[job].size()) {
        marks[job] = Mark::kDone;
        path.pop_back();
        next_edge.pop_back();
        continue;
      }
      const Edge& edge = graph[job][next_edge.back()++];
      if (marks[edge.to] == Mark::kNew) {
        enter(edge.to);
      } else if (marks[edge.to] == Mark::kOnPath && !report.full()) {
        const auto start = static_cast<std::size_t>(std::find(path.begin(), path.end(), edge.to) - path.begin());
        report.Add(edge.position,
                   "these jobs wait for each other: " + CycleText(jobs, path, start) + "; take one of the needs out");
      }
    }
  }
}

}  // namespace furrow::pipeline
