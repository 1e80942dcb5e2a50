#include <algorithm>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#include "common/base/check.h"
#include "common/wire/job_state.h"
#include "controller/reactor/pushes.h"
#include "controller/reactor/repositories.h"
#include "controller/reactor/restore.h"
#include "controller/reactor/timeline.h"
#include "controller/reactor/transitions.h"

namespace furrow {
namespace {

// No farm has a reason for a longer lease.
constexpr std::chrono::milliseconds kUnknownLease = std::chrono::hours(1);

// Recounts a run's jobs, open needs and queues from its stored jobs.
void RecountRun(State& state, Run& run, Now now) {
  CountJobs(run);
  for (JobGroup& group : run.groups) {
    group.open = group.failed = 0;
    group.ready.clear();
    for (std::uint32_t i = group.first; i < group.first + group.spec->shards; ++i) {
      const Job& job = run.jobs[i];
      if (!IsTerminal(job.state)) ++group.open;
      if (IsTerminal(job.state) && job.state != JobState::kPassed) ++group.failed;
    }
  }
  for (JobGroup& group : run.groups) {
    group.needs_open =
        static_cast<std::uint32_t>(std::count_if(group.needs.begin(), group.needs.end(), [&](std::uint32_t need) {
          const JobGroup& needed = run.groups[need];
          return needed.open > 0 || (needed.failed > 0 && !needed.spec->allow_failure);
        }));
    for (std::uint32_t i = group.first; i < group.first + group.spec->shards; ++i) {
      Job& job = run.jobs[i];
      // It was ready, but the record of a job that it needs cannot be read: it would start without its inputs.
      if (job.state == JobState::kReady && group.needs_open > 0) job.state = JobState::kBlocked;
      if (job.state == JobState::kBlocked && group.needs_open == 0) {
        job.state = JobState::kReady;
        job.ready = now.wall;
      }
      if (job.state == JobState::kReady) {
        group.ready.push_back(i);
        state.plan_needed = true;
      }
    }
    Enqueue(state, run, group);
  }
}

constexpr const char* kLostRecord = "its record could not be read when the controller started; see its log";

// Puts an attempt into the job's place that says why nothing is known of another.
void NoteLost(Outbox& out, Now now, Job& job, const std::string& why) {
  AttemptRecord attempt;
  attempt.run = job.run;
  attempt.job = job.id;
  attempt.ended = now.wall;
  attempt.outcome = {OutcomeKind::kLost, 0, 0, why};
  out.records.emplace_back(attempt);
  job.attempts.push_back(std::move(attempt));
}

// Adds an agent whose own record could not be read. Its name is known, and by its jobs the rest until it registers. The
// lease that it was given is lost, too, and `agents.lease` may have been longer then.
Agent& AddUnreadable(State& state, Now now, const std::string& name) {
  Agent agent;
  agent.name = name;
  agent.lease = std::max(kUnknownLease, std::chrono::ceil<std::chrono::milliseconds>(state.settings.lease));
  for (const auto& [other_name, other] : state.agents) agent.lease = std::max(agent.lease, other.lease);
  agent.link.heard = now.mono;
  Agent& added = state.agents[name] = std::move(agent);
  File(state, added);
  return added;
}

// Returns the agent of a job.
Agent& AgentOf(State& state, const Job& job, Now now) {
  Agent* known = state.FindAgent(job.agent);
  Agent& agent = known != nullptr ? *known : AddUnreadable(state, now, job.agent);
  if (agent.incarnation.IsZero()) agent.incarnation = job.incarnation;
  return agent;
}

// Ends the jobs that need a job whose artifacts are no longer known, unless it was allowed to fail: an Assign would
// lack them.
void EndNeeding(State& state, Outbox& out, Now now, Run& run, const Job& lost) {
  const std::string why = "the record of " + run.JobName(lost) + " is lost";
  for (const std::uint32_t needing : run.GroupOf(lost).needed_by) {
    const JobGroup& group = run.groups[needing];
    if (lost.state == JobState::kFailed && group.needs_open == 0) continue;
    for (std::uint32_t i = group.first; i < group.first + group.spec->shards; ++i) {
      Job& job = run.jobs[i];
      if (IsTerminal(job.state)) continue;
      if (job.OnAgent()) {
        CancelJob(state, out, now, run, job, why);
        continue;
      }
      NoteLost(out, now, job, why);
      SettleJob(state, out, now, run, job, JobState::kFailed);
    }
  }
}

// Forgets an attempt whose record cannot be read. Its job goes on, but what it made is lost.
void ForgetUnreadable(State& state, Outbox& out, Now now, AttemptRef attempt) {
  const auto [run, job] = state.FindJob(attempt.job);
  if (job == nullptr || job->state != JobState::kPassed || job->epoch != attempt.epoch) return;
  NoteLost(out, now, *job, kLostRecord);
  EndNeeding(state, out, now, *run, *job);
}

// Fails a job whose record cannot be read. Its earlier attempts are unknown, so starting the job again might run an
// attempt twice.
void FailUnreadable(State& state, Outbox& out, Now now, Run& run, Job& job) {
  if (IsTerminal(job.state)) return;  // It is skipped, say, since the record of what it needs cannot be read either.
  NoteLost(out, now, job, kLostRecord);
  SettleJob(state, out, now, run, job, JobState::kFailed);
}

}  // namespace

State RestoreState(const Settings& settings, Restored restored, Now now, Outbox& out) {
  State state;
  state.settings = settings;
  state.boot = restored.boot;
  state.farm = restored.farm;
  state.counters = restored.counters;
  for (ProjectRecord& record : restored.projects) state.projects[record.id] = std::move(record);
  for (PersonRecord& record : restored.persons) state.persons[record.id] = std::move(record);
  for (PipelineRecord& record : restored.pipelines) state.pipelines.Put(std::move(record));
  for (const auto& [request, run] : restored.requests) state.requests[request] = run;
  for (AgentRecord& record : restored.agents) {
    Agent& agent = state.agents[record.name];
    static_cast<AgentRecord&>(agent) = std::move(record);
    if (agent.lease.count() == 0) agent.lease = std::chrono::ceil<std::chrono::milliseconds>(settings.lease);
    agent.link.heard = now.mono;
    File(state, agent);
  }
  for (const std::string& name : restored.unreadable_agents) AddUnreadable(state, now, name);
  for (EnrolmentRecord& record : restored.enrolments) state.access.enrolments[record.id] = std::move(record);
  for (KeyRecord& record : restored.keys) state.access.AddKey(std::move(record));
  for (StoredRun& stored : restored.runs) InsertRun(state, std::move(stored.record), std::move(stored.pipeline));
  for (const JobRecord& record : restored.jobs) {
    Run* run = state.FindRun(record.run);
    if (run == nullptr) continue;
    Job& job = ApplyRecord(*run, record);
    job.first_sent = now.mono;
    if (job.OnAgent()) Occupy(state, AgentOf(state, job, now), run->GroupOf(job), job);
  }
  for (AttemptRecord& record : restored.attempts) {
    const auto [run, job] = state.FindJob(record.job);
    if (job == nullptr) continue;
    if (!job->OnAgent()) job->metrics = record.metrics;  // Attempts come in order, so the newest one stays.
    job->attempts.push_back(std::move(record));
  }
  for (AttemptMetrics& metrics : restored.metrics) {
    const auto [run, job] = state.FindJob(metrics.attempt.job);
    if (job == nullptr || job->epoch != metrics.attempt.epoch) continue;
    job->metrics_count = metrics.lines + job->metrics_left_out;
    job->metrics_bytes = metrics.bytes;
    job->metrics = std::move(metrics.newest);
  }
  for (const AttemptRef& attempt : restored.unreadable_metrics)
    if (Job* job = state.FindJob(attempt.job).second; job != nullptr && job->epoch == attempt.epoch)
      job->metrics_damaged = true;
  for (const SealRecord& record : restored.seals) {
    const auto [run, job] = state.FindJob(record.attempt.job);
    if (job != nullptr && job->OnAgent() && job->epoch == record.attempt.epoch) job->sealed = record.log;
  }
  for (const AttemptRef& attempt : restored.unreadable_seals)
    if (Job* job = state.FindJob(attempt.job).second; job != nullptr && job->OnAgent() && job->epoch == attempt.epoch)
      job->seal_damaged = true;
  for (auto& [id, run] : state.runs) {
    RecountRun(state, run, now);
    const JobGroup* group = nullptr;
    std::shared_ptr<const std::vector<Hash>> trees;  // of `group`
    for (Job& job : run.jobs) {
      if (job.OnAgent() && IsOutdated(state, job.epoch)) continue;  // Its agent is told to end it: see Reconcile.
      if (job.OnAgent()) {
        if (group != &run.GroupOf(job)) {
          group = &run.GroupOf(job);
          trees = std::make_shared<const std::vector<Hash>>(TreesOf(run, *group));
        }
        out.bulk.emplace_back(BulkGrant{job.attempt(), id, job.agent, state.settings.log_quota_bytes, trees});
      } else if (run.record.cancelling && !IsTerminal(job.state)) {
        SettleJob(state, out, now, run, job, JobState::kCancelled);
      }
      if (job.OnAgent() && run.record.cancelling) job.cancelling = true;
    }
  }
  for (const JobId id : restored.unreadable_jobs) {
    const auto [run, job] = state.FindJob(id);
    if (job == nullptr) continue;
    FailUnreadable(state, out, now, *run, *job);
    EndNeeding(state, out, now, *run, *job);
  }
  for (const AttemptRef& attempt : restored.unreadable_attempts) ForgetUnreadable(state, out, now, attempt);
  for (TriggerRecord& record : restored.triggers) ResumePush(state, out, now, std::move(record));
  for (RepositoryRecord& record : restored.repositories) {
    Repository& repository = state.repositories[record.repository];
    repository.record = std::move(record);
    LookAt(out, now, repository);
  }
  return state;
}

}  // namespace furrow
