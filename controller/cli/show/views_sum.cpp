// This file sums up jobs from their shards and puts them into a tree.
#include <algorithm>
#include <functional>
#include <map>

#include "common/wire/job_state.h"
#include "common/wire/metrics.h"
#include "controller/cli/show/views.h"

namespace furrow::cli {
namespace {

// Returns the weight of a state: of several shards the heaviest state matters most to a person who watches.
int Weight(JobState state) {
  switch (state) {
    case JobState::kFailed: return 7;
    case JobState::kRunning: return 6;
    case JobState::kAssigned: return 5;
    case JobState::kReady: return 4;
    case JobState::kBlocked: return 3;
    case JobState::kCancelled: return 2;
    case JobState::kSkipped: return 1;
    case JobState::kPassed: return 0;
  }
  return 0;
}

WallTime Earlier(WallTime a, WallTime b) {
  if (a == WallTime{}) return b;
  return b == WallTime{} ? a : std::min(a, b);
}

// A failure is never hidden behind a shard that passed with a word.
void TakeNote(JobSum& sum, const JobView& job) {
  const bool failed = job.state == JobState::kFailed;
  const std::string end = (failed || job.state == JobState::kPassed) && job.outcome ? ExplainEnd(job) : "";
  const std::string& note = end.empty() ? job.waits_for : end;
  if (note.empty()) return;
  const int weight = end.empty() ? 1 : failed ? 3 : 2;
  if (weight == sum.note_weight && !end.empty()) ++sum.more_notes;
  if (weight <= sum.note_weight) return;
  sum.note_weight = weight;
  sum.more_notes = 0;
  sum.note = (job.shard_count > 1 && !end.empty() ? "shard " + std::to_string(job.shard) + ": " : "") + note;
}

void Add(JobSum& sum, const JobView& job) {
  if (sum.shards == 0 || Weight(job.state) > Weight(sum.state)) sum.state = job.state;
  ++sum.shards;
  sum.ended += IsTerminal(job.state) ? 1 : 0;
  sum.failed += job.state == JobState::kFailed ? 1 : 0;
  if (!job.agent.empty() && std::find(sum.agents.begin(), sum.agents.end(), job.agent) == sum.agents.end())
    sum.agents.push_back(job.agent);
  sum.ready = Earlier(sum.ready, job.ready);
  sum.started = Earlier(sum.started, job.started);
  sum.ended_at = std::max(sum.ended_at, job.ended);
  sum.epoch = std::max(sum.epoch, job.epoch);
  TakeNote(sum, job);
}

// A Forest arranges the jobs as trees, each job beneath the last of the jobs that it needs.
class Forest {
 public:
  Forest(std::vector<JobSum>& sums, const std::map<std::string, const JobView*>& views) : sums_(sums) {
    for (std::size_t i = 0; i < sums.size(); ++i) index_of_[sums[i].job] = i;
    children_.resize(sums.size());
    for (std::size_t i = 0; i < sums.size(); ++i) {
      const auto& needs = views.at(sums[i].job)->needs;
      std::size_t parent = sums.size();
      for (const std::string& need : needs)
        if (const auto found = index_of_.find(need); found != index_of_.end() && found->second != i)
          parent = parent == sums.size() || Depth(found->second) >= Depth(parent) ? found->second : parent;
      if (parent == sums.size())
        roots_.push_back(i);
      else
        children_[parent].push_back(i);
      depth_[i] = parent == sums.size() ? 0 : Depth(parent) + 1;
    }
  }

  std::vector<JobSum> Walk() {
    for (const std::size_t root : roots_) Visit(root, "", "");
    return std::move(out_);
  }

 private:
  // A pipeline file lists jobs in any order: a job that comes later has no depth yet, and counts as a root.
  std::size_t Depth(std::size_t index) const {
    const auto found = depth_.find(index);
    return found == depth_.end() ? 0 : found->second;
  }

  void Visit(std::size_t index, const std::string& own, const std::string& beneath) {
    sums_[index].branch = own;
    out_.push_back(sums_[index]);
    const auto& children = children_[index];
    for (std::size_t i = 0; i < children.size(); ++i) {
      const bool last = i + 1 == children.size();
      Visit(children[i], beneath + (last ? "└─ " : "├─ "), beneath + (last ? "   " : "│  "));
    }
  }

  std::vector<JobSum>& sums_;
  std::map<std::string, std::size_t> index_of_;
  std::map<std::size_t, std::size_t> depth_;
  std::vector<std::vector<std::size_t>> children_;
  std::vector<std::size_t> roots_;
  std::vector<JobSum> out_;
};

}  // namespace

std::vector<JobSum> SumUp(const std::vector<JobView>& jobs) {
  std::vector<JobSum> sums;
  std::map<std::string, std::size_t> index;
  std::map<std::string, const JobView*> views;
  std::map<std::string, std::vector<const Metrics*>> metrics;
  for (const JobView& job : jobs) {
    const auto [found, is_new] = index.try_emplace(job.job, sums.size());
    if (is_new) {
      sums.emplace_back().job = job.job;
      views[job.job] = &job;
    }
    Add(sums[found->second], job);
    metrics[job.job].push_back(&job.metrics);
  }
  for (JobSum& sum : sums) sum.metrics = sum.shards == 1 ? *metrics[sum.job].front() : MeanMetrics(metrics[sum.job]);
  for (JobSum& sum : sums) {
    if (sum.ended < sum.shards) sum.ended_at = WallTime{};
    if (sum.more_notes > 0)
      sum.note += " (and of " + std::to_string(sum.more_notes) +
                  (sum.more_notes == 1 ? " more shard" : " more shards") + "; `show RUN/JOB` lists them)";
  }
  return Forest(sums, views).Walk();
}

}  // namespace furrow::cli
