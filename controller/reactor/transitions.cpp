#include "controller/reactor/transitions.h"

#include <algorithm>
#include <deque>
#include <set>

#include "common/base/check.h"
#include "common/wire/job_state.h"
#include "controller/reactor/events.h"
#include "controller/reactor/timeline.h"

namespace furrow {
namespace {

constexpr std::size_t kNamesShown = 1000;  // bytes of metric names that people see

// Returns the time between two times that an agent gave, which may be any numbers: at least 0, at most a year.
Duration Between(WallTime from, WallTime to) {
  constexpr std::int64_t kYear = std::chrono::milliseconds(std::chrono::hours(365 * 24)).count();
  std::int64_t took = 0;
  if (to <= from) return Duration::zero();
  if (__builtin_sub_overflow(static_cast<std::int64_t>(to), static_cast<std::int64_t>(from), &took)) took = kYear;
  return std::chrono::milliseconds(std::min(took, kYear));
}

void MakeReady(State& state, Now now, Run& run, Job& job) {
  job.state = JobState::kReady;
  job.ready = now.wall;
  JobGroup& group = run.GroupOf(job);
  group.ready.push_back(static_cast<std::uint32_t>(&job - run.jobs.data()));
  Enqueue(state, run, group);
  state.plan_needed = true;
  MarkChanged(state, run, job);
}

void EndRun(State& state, Outbox& out, Now now, Run& run) {
  bool failed = false;
  bool cancelled = run.record.cancelling;
  for (const Job& job : run.jobs) {
    if (job.state == JobState::kPassed) ++run.record.jobs_passed;
    if (job.state != JobState::kFailed && job.state != JobState::kCancelled) continue;
    if (job.state == JobState::kFailed) ++run.record.jobs_failed;
    if (run.GroupOf(job).spec->allow_failure) continue;
    if (job.state == JobState::kCancelled) cancelled = true;
    if (job.state == JobState::kFailed && !failed) {
      failed = true;
      if (run.record.note.empty()) run.record.note = run.JobName(job) + " failed";
    }
  }
  run.record.state = run.record.cancelling ? RunState::kCancelled
                     : failed              ? RunState::kFailed
                     : cancelled           ? RunState::kCancelled
                                           : RunState::kPassed;
  run.record.ended = now.wall;
  state.ended.insert(run.record.id);
  state.ended_jobs += run.jobs.size();
  out.records.emplace_back(run.record);
  EventRecord& event = Tell(out, now, EventKind::kRunEnded, run);
  event.run_state = run.record.state;
  event.subject = run.record.name;
  event.detail = run.record.note;
  MarkChanged(state, run);
}

// Takes the job out of the queue of the ready jobs.
void Dequeue(State& state, Run& run, const Job& job) {
  JobGroup& group = run.GroupOf(job);
  const auto index = static_cast<std::uint32_t>(&job - run.jobs.data());
  if (group.ready.front() == index)
    group.ready.pop_front();
  else
    group.ready.erase(std::find(group.ready.begin(), group.ready.end(), index));
  Enqueue(state, run, group);
}

// Counts and records a job that reached a terminal state.
void CountEnd(State& state, Outbox& out, Now now, Run& run, const Job& job) {
  JobGroup& group = run.GroupOf(job);
  --group.open;
  --run.open;
  if (job.state != JobState::kPassed) ++group.failed;
  if (job.state == JobState::kPassed) ++run.passed;
  if (job.state == JobState::kFailed) ++run.failed;
  out.records.emplace_back(job.record());
  Tell(out, now, EventKind::kJobEnded, run, job).job_state = job.state;
  MarkChanged(state, run, job);
}

// Queues the blocked jobs of the groups whose last open need is this group.
void StartNeeding(State& state, Now now, Run& run, const JobGroup& done) {
  for (std::uint32_t index : done.needed_by) {
    JobGroup& next = run.groups[index];
    if (--next.needs_open > 0) continue;
    for (std::uint32_t i = next.first; i < next.first + next.spec->shards; ++i)
      if (run.jobs[i].state == JobState::kBlocked) MakeReady(state, now, run, run.jobs[i]);
  }
}

// Skips the groups that need a group that did not pass, and the groups that need those. The function loops instead of
// recursing because chains may be thousands long.
void SkipNeeding(State& state, Outbox& out, Now now, Run& run, const JobGroup& spoiled) {
  std::deque<std::uint32_t> groups(spoiled.needed_by.begin(), spoiled.needed_by.end());
  for (; !groups.empty(); groups.pop_front()) {
    const JobGroup& group = run.groups[groups.front()];
    bool skipped = false;
    for (std::uint32_t i = group.first; i < group.first + group.spec->shards; ++i) {
      Job& job = run.jobs[i];
      if (job.state != JobState::kBlocked) continue;
      job.state = JobState::kSkipped;
      CountEnd(state, out, now, run, job);
      skipped = true;
    }
    if (!skipped) continue;
    if (!group.spec->allow_failure)
      groups.insert(groups.end(), group.needed_by.begin(), group.needed_by.end());
    else if (group.open == 0)
      StartNeeding(state, now, run, group);
  }
}

// Handles a job that reached a terminal state: its group counts the job, and jobs that need the group start or are
// skipped.
void AfterEnd(State& state, Outbox& out, Now now, Run& run, Job& job) {
  const JobGroup& group = run.GroupOf(job);
  CountEnd(state, out, now, run, job);
  const bool spoiled = group.failed > 0 && !group.spec->allow_failure;
  if (spoiled && group.failed == 1 && job.state != JobState::kPassed) SkipNeeding(state, out, now, run, group);
  if (!spoiled && group.open == 0) StartNeeding(state, now, run, group);
  if (run.open == 0 && !run.Ended()) EndRun(state, out, now, run);
}

bool MayRetry(const JobSpec& spec, const Job& job, const Outcome& outcome) {
  if (job.cancelling || job.retries >= spec.retry.max) return false;
  switch (outcome.kind) {
    case OutcomeKind::kLost:
    case OutcomeKind::kInputFailed: return spec.retry.on_agent_lost;
    case OutcomeKind::kExited:
    case OutcomeKind::kSignaled: {  // of an agent of 0.1.0, which told signals apart
      const auto& codes = spec.retry.exit_codes;
      const int code = outcome.kind == OutcomeKind::kSignaled ? ExitStatusOf(outcome.code) : outcome.code;
      return spec.retry.on_failure || std::find(codes.begin(), codes.end(), code) != codes.end();
    }
    default: return spec.retry.on_failure;
  }
}

// Adds the mean of each metric that a check of the job names; where one is missing, adds the names of the existing
// metrics.
void GiveMetrics(Assign& assign, const Run& run, const JobGroup& group) {
  std::set<std::string> wanted;
  for (const Step& step : group.spec->steps)
    if (const auto* check = std::get_if<CheckStep>(&step.action))
      for (const MetricRule& rule : check->rules) wanted.insert(rule.metric);
  if (wanted.empty()) return;
  const Metrics metrics = NeededMetrics(run, group);
  for (const Metric& metric : metrics)
    if (wanted.contains(metric.name)) assign.metrics.push_back(metric);
  if (assign.metrics.size() == wanted.size()) return;
  for (std::size_t i = 0; i < metrics.size(); ++i) {
    if (assign.reported.size() > kNamesShown) {
      assign.reported += " and " + std::to_string(metrics.size() - i) + " more";
      break;
    }
    assign.reported += (i == 0 ? "" : ", ") + metrics[i].name;
  }
}

Assign MakeAssign(const State& state, const Run& run, const Job& job) {
  const JobGroup& group = run.GroupOf(job);
  Assign assign;
  assign.attempt = job.attempt();
  assign.run = run.record.id;
  assign.run_name = run.Name();
  assign.shard = job.shard;
  assign.spec = group.spec;
  assign.gpu_uuids = job.gpu_uuids;
  assign.commit = run.record.info.commit;
  assign.branch = run.record.info.branch;
  assign.trees = TreesOf(run, group);
  GiveMetrics(assign, run, group);
  assign.log_quota_bytes = state.settings.log_quota_bytes;
  return assign;
}

}  // namespace

std::vector<Hash> TreesOf(const Run& run, const JobGroup& group) {
  std::vector<Hash> trees;
  if (!run.record.source.IsZero()) trees.push_back(run.record.source);
  for (std::uint32_t need : group.needs) {
    const JobGroup& needed = run.groups[need];
    for (std::uint32_t i = needed.first; i < needed.first + needed.spec->shards; ++i) {
      const Job& source = run.jobs[i];
      if (source.state == JobState::kPassed && !source.attempts.empty() && !source.attempts.back().artifacts.IsZero())
        trees.push_back(source.attempts.back().artifacts);
    }
  }
  return trees;
}

void StartRun(State& state, Now now, Run& run) {
  for (JobGroup& group : run.groups) {
    if (group.needs_open > 0) continue;
    for (std::uint32_t i = group.first; i < group.first + group.spec->shards; ++i)
      if (run.jobs[i].state == JobState::kBlocked) MakeReady(state, now, run, run.jobs[i]);
  }
}

void AssignJob(State& state, Outbox& out, Now now, const Assignment& assignment) {
  const auto [run, job] = state.FindJob(assignment.job);
  FURROW_CHECK(job != nullptr && job->state == JobState::kReady, "only a ready job is assigned");
  Agent* agent = state.FindAgent(assignment.agent);
  FURROW_CHECK(agent != nullptr && agent->link.session, "jobs are assigned to connected agents");
  Dequeue(state, *run, *job);
  ++run->running;
  job->state = JobState::kAssigned;
  job->epoch = NextEpoch(state, job->epoch);
  job->agent = agent->name;
  job->incarnation = agent->incarnation;
  job->gpu_uuids = assignment.gpu_uuids;
  job->assigned = now.wall;
  job->first_sent = now.mono;
  job->started = WallTime{};
  job->cancelling = false;
  job->sealed.reset();
  job->seal_damaged = false;
  job->metrics_count = 0;
  job->metrics_damaged = false;
  job->metrics.clear();
  job->metrics_bytes = job->metrics_left_out = 0;
  Occupy(state, *agent, run->GroupOf(*job), *job);
  out.records.emplace_back(job->record());
  Tell(out, now, EventKind::kJobAssigned, *run, *job).subject = agent->name;
  out.bulk.emplace_back(BulkGrant{job->attempt(), run->record.id, agent->name, state.settings.log_quota_bytes,
                                  std::make_shared<const std::vector<Hash>>(TreesOf(*run, run->GroupOf(*job)))});
  RepeatAssign(state, out, now, *run, *job);
  MarkChanged(state, *run, *job);
}

void RepeatAssign(const State& state, Outbox& out, Now now, const Run& run, Job& job) {
  const auto agent = state.agents.find(job.agent);
  FURROW_CHECK(agent != state.agents.end(), "an assigned job names a known agent");
  job.last_sent = now.mono;
  if (!agent->second.link.session) return;
  Assign assign = MakeAssign(state, run, job);
  assign.session = agent->second.link.session->id;
  out.to_agents.push_back({agent->second.link.session->peer, std::move(assign)});
}

void EndAttempt(State& state, Outbox& out, Now now, Run& run, Job& job, AttemptRecord attempt) {
  FURROW_CHECK(job.OnAgent(), "only a job on an agent has an attempt to end");
  JobGroup& group = run.GroupOf(job);
  const AttemptRef ref = job.attempt();
  attempt.run = run.record.id;
  attempt.job = job.id;
  attempt.epoch = job.epoch;
  attempt.agent = job.agent;
  attempt.gpu_uuids = job.gpu_uuids;
  attempt.metrics = job.metrics;
  if (attempt.ended == WallTime{}) attempt.ended = now.wall;
  Agent* agent = state.FindAgent(job.agent);
  FURROW_CHECK(agent != nullptr, "an assigned job names a known agent");
  Release(state, *agent, group, job);
  --run.running;
  if (job.sealed || job.seal_damaged) out.records.emplace_back(EraseSeal{ref});
  out.bulk.emplace_back(BulkLogFinal{run.record.id, ref, attempt.log});
  out.bulk.emplace_back(BulkRevoke{ref});
  const Outcome outcome = attempt.outcome;
  if (Passed(outcome) && attempt.started != WallTime{}) {
    const Duration took = Between(attempt.started, attempt.ended);
    const Duration smooth = group.mean_duration == Duration::zero() ? took : (group.mean_duration * 7 + took) / 8;
    group.mean_duration = std::max<Duration>(smooth, std::chrono::microseconds(1));  // 0 means not known.
    Enqueue(state, run, group);
  }
  const bool retry = !Passed(outcome) && !run.record.cancelling && MayRetry(*group.spec, job, outcome);
  const bool killed = job.cancelling;
  EventRecord& event = Tell(out, now, EventKind::kAttemptEnded, run, job);
  event.outcome = outcome.kind;
  event.subject = attempt.agent;
  event.detail = outcome.detail;
  out.records.emplace_back(attempt);
  job.attempts.push_back(std::move(attempt));
  job.agent.clear();
  job.incarnation = {};
  job.cancelling = false;
  job.sealed.reset();
  job.seal_damaged = false;
  state.plan_needed = true;
  if (retry) {
    ++job.retries;
    MakeReady(state, now, run, job);
    out.records.emplace_back(job.record());
    return;
  }
  job.state = Passed(outcome) ? JobState::kPassed : killed ? JobState::kCancelled : JobState::kFailed;
  AfterEnd(state, out, now, run, job);
}

void CancelJob(State& state, Outbox& out, Now now, Run& run, Job& job, const std::string& reason) {
  if (IsTerminal(job.state)) return;
  if (!job.OnAgent()) {
    SettleJob(state, out, now, run, job, JobState::kCancelled);
    return;
  }
  job.cancelling = true;
  job.last_sent = now.mono;
  out.records.emplace_back(job.record());
  const Agent* agent = state.FindAgent(job.agent);
  if (agent != nullptr && agent->link.session)
    out.to_agents.push_back({agent->link.session->peer, Kill{agent->link.session->id, job.attempt(), reason, false}});
  MarkChanged(state, run, job);
}

void SettleJob(State& state, Outbox& out, Now now, Run& run, Job& job, JobState end) {
  FURROW_CHECK(!IsTerminal(job.state) && !job.OnAgent(), "only a waiting job is settled without an attempt");
  if (job.state == JobState::kReady) Dequeue(state, run, job);
  job.state = end;
  AfterEnd(state, out, now, run, job);
}

Metrics NeededMetrics(const Run& run, const JobGroup& group) {
  std::vector<const Metrics*> shards;
  for (std::uint32_t need : group.needs) {
    const JobGroup& needed = run.groups[need];
    for (std::uint32_t i = needed.first; i < needed.first + needed.spec->shards; ++i)
      shards.push_back(&run.jobs[i].metrics);
  }
  return MeanMetrics(shards);
}

}  // namespace furrow
