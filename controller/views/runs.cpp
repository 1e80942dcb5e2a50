#include "controller/views/runs.h"

#include <algorithm>

#include "common/wire/job_state.h"
#include "common/wire/selector.h"
#include "controller/views/page.h"

namespace furrow {
namespace {

// Keeps the jobs of one answer within its frame, however many needs and metrics each of them has.
class Page {
 public:
  bool HasRoom() const { return count_ < kMaxJobsShown && bytes_ < kPageBytes; }
  void Add(std::vector<JobView>& jobs, JobView view) {
    ++count_;
    bytes_ += WireBytes(view);
    jobs.push_back(std::move(view));
  }

 private:
  std::size_t count_ = 0;
  std::size_t bytes_ = 0;
};

std::string WaitsFor(WaitCauses& causes, const Run& run, const Job& job) {
  if (job.state == JobState::kReady) return causes.Of(run.GroupOf(job)).reason;
  if (job.state != JobState::kBlocked) return "";
  std::string names;
  for (std::uint32_t need : run.GroupOf(job).needs)
    if (run.groups[need].open > 0) names += (names.empty() ? "" : ", ") + run.groups[need].spec->name;
  return "needs " + names;
}

// Says which step the outcome speaks of. Only some outcomes speak of a step.
void NameStep(JobView& view, const JobSpec& spec) {
  const auto has_step = [](OutcomeKind kind) {
    return kind == OutcomeKind::kExited || kind == OutcomeKind::kSignaled || kind == OutcomeKind::kTimedOut ||
           kind == OutcomeKind::kLogQuota;
  };
  if (!view.outcome || Passed(*view.outcome) || !has_step(view.outcome->kind)) return;
  if (view.outcome->step >= spec.steps.size()) return;
  view.step = view.outcome->step + 1;
  view.step_name = spec.steps[view.outcome->step].name;
}

// Returns what a run that stands still waits for and cannot get; empty: it goes on, or can.
std::string StuckOn(WaitCauses& causes, const Run& run) {
  if (run.Ended() || run.running > 0) return "";
  std::string reason;
  for (const JobGroup& group : run.groups) {
    if (group.ready.empty()) continue;
    const WaitCause& cause = causes.Of(group);
    if (!cause.never) return "";
    if (reason.empty()) reason = group.spec->name + ": " + cause.reason;
  }
  return reason;
}

}  // namespace

RunSummary SummaryOf(const RunRecord& record) {
  RunSummary summary;
  summary.id = record.id;
  summary.pipeline = record.name;
  summary.number = record.number;
  summary.state = record.state;
  summary.source = record.info;
  summary.submitted = record.submitted;
  summary.ended = record.ended;
  summary.jobs.total = record.jobs_total;
  summary.jobs.passed = record.jobs_passed;
  summary.jobs.failed = record.jobs_failed;
  summary.note = record.note;
  return summary;
}

RunSummary SummaryOf(WaitCauses& causes, const Run& run) {
  RunSummary summary = SummaryOf(run.record);
  summary.jobs.passed = run.passed;
  summary.jobs.failed = run.failed;
  summary.jobs.running = run.running;
  summary.stuck = StuckOn(causes, run);
  return summary;
}

JobView ViewOf(WaitCauses& causes, const Run& run, const Job& job) {
  const JobGroup& group = run.GroupOf(job);
  JobView view;
  view.id = job.id;
  view.job = group.spec->name;
  view.shard = job.shard;
  view.shard_count = group.spec->shards;
  view.state = job.state;
  view.epoch = job.epoch;
  view.agent = job.agent;
  view.gpu_uuids = job.gpu_uuids;
  view.ready = job.ready;
  view.started = job.started;
  view.needs = group.spec->needs;
  view.waits_for = WaitsFor(causes, run, job);
  view.metrics = job.metrics;
  view.log_run = Raw(job.reused_run) != 0 ? job.reused_run : run.record.id;
  if (job.OnAgent()) {
    view.log_attempt = job.attempt();
  } else if (!job.attempts.empty()) {
    const AttemptRecord& last = job.attempts.back();
    view.agent = last.agent;
    view.gpu_uuids = last.gpu_uuids;
    view.started = last.started;
    view.ended = last.ended;
    view.outcome = last.outcome;
    view.log_length = last.log.length;
    // What an earlier attempt left stays in view while no later one has left anything.
    const auto left = std::find_if(job.attempts.rbegin(), job.attempts.rend(),
                                   [](const AttemptRecord& attempt) { return !attempt.artifacts.IsZero(); });
    if (left != job.attempts.rend()) view.artifacts = left->artifacts;
    view.log_attempt = {Raw(job.reused_job) != 0 ? job.reused_job : job.id, last.epoch};
    NameStep(view, *group.spec);
  }
  return view;
}

std::vector<RunUpdate> UpdatesOf(const State& state, const Run& run, const std::vector<JobId>& jobs) {
  std::vector<RunUpdate> updates;
  WaitCauses causes(state);
  std::size_t shown = 0;
  do {
    RunUpdate& update = updates.emplace_back();
    update.run = SummaryOf(causes, run);
    for (Page page; shown < jobs.size() && page.HasRoom(); ++shown)
      page.Add(update.jobs, ViewOf(causes, run, *state.FindJob(jobs[shown]).second));
    update.run_ended = run.Ended() && shown == jobs.size();
  } while (shown < jobs.size());
  return updates;
}

WaitReason ReasonOf(WaitCauses& causes, const Run& run, const Job& job) {
  WaitReason reason;
  reason.job = run.JobName(job);
  switch (job.state) {
    case JobState::kBlocked: reason.reason = WaitsFor(causes, run, job); break;
    case JobState::kReady: {
      const WaitCause& cause = causes.Of(run.GroupOf(job));
      reason.reason = (cause.never ? "cannot start: " : "") + cause.reason;
      reason.holders = cause.holders;
      break;
    }
    case JobState::kAssigned: reason.reason = "is on agent " + job.agent + ", which prepares it"; break;
    case JobState::kRunning: reason.reason = "does not wait: it runs on agent " + job.agent; break;
    default: reason.reason = std::string("does not wait: it has ended, ") + NameOf(job.state);
  }
  return reason;
}

bool Matches(const Run& run, const Job& job, const Selector& what) {
  return (what.job.empty() || run.GroupOf(job).spec->name == what.job) && (!what.shard || *what.shard == job.shard);
}

Failure NoSuchJob(const Run& run, const Selector& what) {
  return {Errc::kNotFound, run.Name() + " has no job " + FormatSelector(what), "", {}};
}

ClientReply Show(const State& state, const Run& run, const ShowRun& request) {
  WaitCauses causes(state);
  RunDetail detail{SummaryOf(causes, run), 0, {}};
  Page page;
  for (const Job& job : run.jobs) {
    if (!Matches(run, job, request.what)) continue;
    if (detail.matching++ >= request.first && detail.jobs.size() < request.limit && page.HasRoom())
      page.Add(detail.jobs, ViewOf(causes, run, job));
  }
  if (detail.matching == 0) return NoSuchJob(run, request.what);
  return detail;
}

ClientReply Explain(const State& state, const Run& run, const Why& request) {
  WaitReasons reasons;
  WaitCauses causes(state);
  std::uint32_t left_out = 0;
  for (const Job& job : run.jobs) {
    if (!Matches(run, job, request.what)) continue;
    if (reasons.reasons.size() < kMaxListedReasons)
      reasons.reasons.push_back(ReasonOf(causes, run, job));
    else
      ++left_out;
  }
  if (reasons.reasons.empty()) return NoSuchJob(run, request.what);
  reasons.reasons.back().left_out = left_out;
  return reasons;
}

}  // namespace furrow
