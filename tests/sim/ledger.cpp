#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "common/wire/job_state.h"
#include "tests/sim/node.h"

namespace furrow::sim {
namespace {

std::string Text(AttemptRef attempt) {
  return "attempt " + std::to_string(Raw(attempt.job)) + "/" + std::to_string(Raw(attempt.epoch));
}

const JobSpec& SpecOf(const RunRecord& run, const Pipeline& pipeline, JobId id) {
  std::uint64_t first = Raw(run.first_job);
  for (const JobSpec& spec : pipeline.jobs) {
    if (Raw(id) < first + spec.shards) return spec;
    first += spec.shards;
  }
  std::abort();
}

bool MayFail(const JobSpec& spec) {
  const auto* exec = std::get_if<ExecStep>(&spec.steps.front().action);
  return exec != nullptr && exec->argv.front() == "/bin/false";
}

}  // namespace

void World::Breach(const std::string& what) const {
  std::fprintf(stderr, "seed %llu at %.3f s: %s\nagain: FURROW_SIM_SEED=%llu\n", static_cast<unsigned long long>(seed_),
               static_cast<double>(time_.count()) / 1e9, what.c_str(), static_cast<unsigned long long>(seed_));
  Describe();
  std::abort();
}

const Execution* World::ExecutionOf(AttemptRef attempt) const {
  const auto of_job = executions_of_.find(attempt.job);
  if (of_job == executions_of_.end()) return nullptr;
  for (const std::size_t index : of_job->second)
    if (executions_[index].attempt == attempt) return &executions_[index];
  return nullptr;
}

// No attempt runs twice, and no two attempts of a job at once.
void World::CheckStart(AttemptRef attempt) const {
  const auto of_job = executions_of_.find(attempt.job);
  if (of_job == executions_of_.end()) return;
  for (const std::size_t index : of_job->second) {
    const Execution& one = executions_[index];
    if (one.attempt == attempt) Breach(Text(attempt) + " ran twice");
    if (!one.until) Breach(Text(attempt) + " starts while " + Text(one.attempt) + " runs on " + one.agent);
  }
}

// What runs on a machine needs no more than it offers, unless it is one job.
void World::CheckDevices(const Node& node, AttemptRef attempt) const {
  const auto cpus = [&](AttemptRef one) {
    const auto job = disk_.jobs().find(one.job);
    if (job == disk_.jobs().end()) Breach(Text(one) + " runs and is not on record");
    const RunRecord& run = disk_.runs().at(job->second.run);
    return SpecOf(run, disk_.PipelineOf(run), one.job).resources.cpu_milli;
  };
  std::uint32_t used = cpus(attempt);
  for (const auto& [ref, index] : node.processes) used += cpus(ref);
  if (used > kCpuMilli && !node.processes.empty())
    Breach(Text(attempt) + " starts on " + node.name + ", whose CPUs are taken");
}

// A job passes only if the attempt on record ran, ended well and had all its metrics taken; it fails only by itself.
void World::CheckTurn(const Turn& turn) const {
  std::map<AttemptRef, std::size_t> lines;  // of this turn
  std::map<AttemptRef, Metrics> ended;      // attempts that end in this turn → their newest metrics
  for (const RecordChange& record : turn.records) {
    if (const auto* metrics = std::get_if<MetricsRecord>(&record))
      lines[metrics->attempt] = metrics->first + metrics->lines.size();
    if (const auto* one = std::get_if<AttemptRecord>(&record)) ended[{one->job, one->epoch}] = one->metrics;
    const auto* job = std::get_if<JobRecord>(&record);
    if (job == nullptr) continue;
    const AttemptRef attempt{job->id, job->epoch};
    if (job->state == JobState::kPassed) {
      const Execution* ran = ExecutionOf(attempt);
      if (ran == nullptr || !ran->until || !ran->succeeded) Breach(Text(attempt) + " passed and did not");
      const auto stored = disk_.metrics().find(attempt);
      if (!lines.contains(attempt) && stored != disk_.metrics().end()) lines[attempt] = stored->second.lines.size();
      if (lines[attempt] != metrics_.size()) Breach(Text(attempt) + " passed without all its metrics");
      if (ended[attempt] != newest_metrics_ && !disk_.Damaged(job->id))
        Breach(Text(attempt) + " passed without its newest metrics");
    }
    if (job->state != JobState::kFailed) continue;
    const RunRecord& run = disk_.runs().at(job->run);
    if (disk_.Damaged(run)) continue;  // What needs a job of which a record was lost fails with it.
    if (!MayFail(SpecOf(run, disk_.PipelineOf(run), job->id))) Breach(Text(attempt) + " failed, which it never does");
  }
}

// Whoever starts finds the artifacts of everything that it needs.
void World::CheckInputs(const Assign& assign) const {
  const RunRecord& run = disk_.runs().at(disk_.jobs().at(assign.attempt.job).run);
  std::size_t trees = run.source.IsZero() ? 0 : 1;
  const Pipeline& pipeline = disk_.PipelineOf(run);
  for (const std::string& need : SpecOf(run, pipeline, assign.attempt.job).needs)
    for (const JobSpec& spec : pipeline.jobs)
      if (spec.name == need && !spec.artifacts.empty()) trees += spec.shards;
  if (assign.trees.size() != trees) Breach(Text(assign.attempt) + " is to run without what it needs");
}

// Nothing is said to an agent that rests on what a power cut could undo.
void World::CheckSend(const AgentSend& send) const {
  if (const auto* assign = std::get_if<Assign>(&send.message)) {
    const auto job = disk_.jobs().find(assign->attempt.job);
    if (job == disk_.jobs().end() || job->second.epoch < assign->attempt.epoch)
      Breach("the Assign of " + Text(assign->attempt) + " left before it was durable");
    CheckInputs(*assign);
  }
  if (const auto* ack = std::get_if<FinishedAck>(&send.message)) {
    if (!disk_.attempts().contains(ack->attempt) && !disk_.Damaged(ack->attempt.job))
      Breach("the end of " + Text(ack->attempt) + " was acknowledged and is not on record");
  }
  if (const auto* ack = std::get_if<MetricsAck>(&send.message)) {
    const auto job = disk_.jobs().find(ack->attempt.job);
    const auto lines = disk_.metrics().find(ack->attempt);
    const std::size_t count = lines == disk_.metrics().end() ? 0 : lines->second.lines.size();
    if (job != disk_.jobs().end() && job->second.epoch == ack->attempt.epoch && !job->second.agent.empty() &&
        ack->count > count)
      Breach("metrics of " + Text(ack->attempt) + " were acknowledged and are not on record");
  }
}

// ---- the end ---------------------------------------------------------------------------------------------------

bool World::Settled() const {
  if (!controller_ || !unanswered_.empty() || disk_.HasTriggers()) return false;
  for (const auto& [id, run] : disk_.runs())
    if (run.state == RunState::kRunning) return false;
  for (const auto& [id, watching] : watching_)
    if (!watching.ended) return false;
  for (const auto& node : nodes_)
    if (!node->agent || !node->agent->state.jobs.empty() || !node->table.empty() || !node->outputs.empty())
      return false;
  for (const auto& entry : refs_) {
    const std::string& commit = entry.second;
    const auto push =
        std::find_if(pushed_.begin(), pushed_.end(), [&](const Pushed& one) { return one.commit == commit; });
    if (push->noticed && std::none_of(disk_.runs().begin(), disk_.runs().end(),
                                      [&](const auto& run) { return run.second.info.commit == commit; }))
      return false;
  }
  return true;
}

void World::CheckEnd() const {
  for (const auto& [request, run] : acknowledged_)
    if (!disk_.runs().contains(run)) Breach("an acknowledged run was lost");
  for (const auto& [id, run] : disk_.runs()) {
    std::uint64_t shards = 0;
    for (const JobSpec& spec : disk_.PipelineOf(run).jobs) shards += spec.shards;
    bool failed = false;
    bool cancelled = run.cancelling;
    for (std::uint64_t i = 0; i < shards; ++i) {
      const auto job = disk_.jobs().find(JobId{Raw(run.first_job) + i});
      if (job == disk_.jobs().end() || !IsTerminal(job->second.state)) Breach("a run ended before its last job");
      failed = failed || job->second.state == JobState::kFailed;
      cancelled = cancelled || job->second.state == JobState::kCancelled;
    }
    const RunState right = run.cancelling ? RunState::kCancelled
                           : failed       ? RunState::kFailed
                           : cancelled    ? RunState::kCancelled
                                          : RunState::kPassed;
    if (run.state != right) Breach("run " + std::to_string(Raw(id)) + " ended as " + NameOf(run.state));
  }
  CheckPushes();
}

// Each push that we were told of has its run. That it has no second one is promised while the controller lives:
// after a restart it knows its pushes by their request only.
void World::CheckPushes() const {
  for (const Pushed& push : pushed_) {
    const auto runs = std::count_if(disk_.runs().begin(), disk_.runs().end(),
                                    [&](const auto& entry) { return entry.second.info.commit == push.commit; });
    if (push.told && runs == 0) Breach("a push that was acknowledged started no run");
    if (controller_life_ == 0 && runs > 1) Breach("one push became two runs");
  }
}

// What is stuck, for whoever has to find out why.
void World::Describe() const {
  std::fprintf(stderr, "seed %llu, controller %s, %zu requests unanswered\n", static_cast<unsigned long long>(seed_),
               controller_ ? "up" : "down", unanswered_.size());
  for (const auto& [id, job] : disk_.jobs())
    if (!IsTerminal(job.state) && disk_.runs().at(job.run).state == RunState::kRunning)
      std::fprintf(stderr, "  job %llu epoch %llu: %s on %s\n", static_cast<unsigned long long>(Raw(id)),
                   static_cast<unsigned long long>(Raw(job.epoch)), NameOf(job.state), job.agent.c_str());
  for (const auto& node : nodes_) {
    std::fprintf(stderr, "  %s: %s, %zu processes, %zu in the runner's table, %zu workspaces\n", node->name.c_str(),
                 node->agent ? "up" : "down", node->processes.size(), node->table.size(), node->outputs.size());
    if (!node->agent) continue;
    const AgentState& state = node->agent->state;
    std::fprintf(stderr, "    runner %s, session %s\n", state.runner_ready ? "ready" : "unknown",
                 state.session ? "yes" : "no");
    for (const auto& [ref, job] : state.jobs)
      std::fprintf(stderr, "    %s stage %d\n", Text(ref).c_str(), static_cast<int>(job.stage));
  }
}

}  // namespace furrow::sim
