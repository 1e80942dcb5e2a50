#include <algorithm>
#include <unordered_map>

#include "common/base/check.h"
#include "common/wire/job_state.h"
#include "common/wire/selector.h"
#include "controller/reactor/answer.h"
#include "controller/reactor/clients.h"
#include "controller/reactor/events.h"
#include "controller/reactor/pipelines.h"
#include "controller/reactor/runs.h"
#include "controller/reactor/transitions.h"

namespace furrow {
namespace {

constexpr std::uint64_t kRequestsRemembered = 10'000;  // as many as after a restart

// Keeps the requests of the newest runs and of live runs. Scans all requests only when twice as many are kept.
void ForgetOldRequests(State& state) {
  if (state.requests.size() < 2 * kRequestsRemembered) return;
  std::erase_if(state.requests, [&](const auto& known) {
    if (Raw(known.second) + kRequestsRemembered > Raw(state.counters.run)) return false;
    const Run* run = state.FindRun(known.second);
    return run == nullptr || run->Ended();
  });
}

// Answers a request that is already known and returns true; otherwise returns false.
bool AnswerRepeated(State& state, Outbox& out, const Asker& asker, Uuid request) {
  const auto known = state.requests.find(request);
  if (known == state.requests.end()) return false;
  const Run* run = state.FindRun(known->second);
  Answer(out, asker, Submitted{known->second, run != nullptr ? run->Name() : "", true, ""});
  return true;
}

// Answers a request that is already known, or that cannot be accepted now, and returns true; otherwise returns false.
bool RefuseOrAnswer(State& state, Outbox& out, const Asker& asker, Uuid request) {
  if (AnswerRepeated(state, out, asker, request)) return true;
  if (state.refusing.empty()) return false;
  Refuse(out, asker, Errc::kUnavailable, "no new work is accepted: " + state.refusing);
  return true;
}

}  // namespace

Run& AcceptRun(State& state, Outbox& out, Now now, NewRun made) {
  ForgetOldRequests(state);
  const PipelineRecord* pipeline = state.pipelines.Find(made.pipeline);
  FURROW_CHECK(pipeline != nullptr, "a run is of a known pipeline");
  CountersRecord& counters = state.counters;
  RunRecord record;
  record.id = counters.run = RunId{Raw(counters.run) + 1};
  record.project = pipeline->project;
  record.person = kDefaultPerson;
  record.pipeline = pipeline->id;
  record.name = pipeline->name;
  record.number = TakeNumber(state, out, pipeline->id);
  record.request = made.request;
  record.spec = made.spec.hash;
  record.text = made.text.hash;
  record.source = made.source;
  record.info = std::move(made.info);
  record.submitted = now.wall;
  record.first_job = JobId{Raw(counters.job) + 1};
  record.retry_of = made.retry_of;
  for (const JobSpec& job : made.spec.pipeline->jobs) record.jobs_total += job.shards;
  counters.job = JobId{Raw(counters.job) + record.jobs_total};
  out.records.emplace_back(counters);
  out.records.emplace_back(made.spec);
  if (made.text.bytes) out.records.emplace_back(std::move(made.text));
  out.records.emplace_back(record);
  Run& run = InsertRun(state, std::move(record), std::move(made.spec.pipeline));
  EventRecord& event = Tell(out, now, EventKind::kRunAccepted, run);
  event.by = std::move(made.by);
  event.subject = run.record.name;
  event.detail = run.Name();
  return run;
}

void On(State& state, Outbox& out, Now, const Asker& asker, const Submit& request) {
  if (RefuseOrAnswer(state, out, asker, request.request)) return;
  out.submissions.push_back({asker, request});
}

void On(State& state, Outbox& out, Now now, const SubmissionPrepared& event) {
  const auto& [asker, request, file] = event;
  if (RefuseOrAnswer(state, out, asker, request.request)) return;
  if (!file.ok()) {
    AnswerAtOnce(out, asker, Failure{Errc::kInvalid, "the pipeline file has mistakes", request.file, file.diagnostics});
    return;
  }
  const std::string& name = file.spec.pipeline->name;
  const PipelinePlace place = PlaceOf(state, name, request.info);
  const PipelineRecord& pipeline = PipelineAt(state, out, now, place);
  const std::string note = NoteOnName(state, pipeline);
  Run& run = AcceptRun(state, out, now,
                       {.request = request.request,
                        .pipeline = pipeline.id,
                        .spec = file.spec,
                        .text = file.text,
                        .source = request.source,
                        .info = request.info,
                        .by = asker.name});
  StartRun(state, now, run);
  Answer(out, asker, Submitted{run.record.id, run.Name(), false, note});
}

void On(State& state, Outbox& out, Now now, const Asker& asker, const Cancel& request) {
  const Run* found = state.FindRun(request.what);
  const std::string& wanted = request.what.job;
  if (found != nullptr && !wanted.empty() &&
      std::none_of(found->groups.begin(), found->groups.end(),
                   [&](const JobGroup& group) { return group.spec->name == wanted; })) {
    Refuse(out, asker, Errc::kNotFound, found->Name() + " has no job " + wanted);
    return;
  }
  if (found == nullptr || found->Ended()) {
    const std::string name = FormatSelector(request.what);
    Refuse(out, asker, Errc::kNotFound,
           "nothing to cancel: " + name + (found == nullptr ? " is not a live run" : " has ended"));
    return;
  }
  Run& run = *state.FindRun(found->record.id);
  const std::string reason = request.reason.empty() ? "cancelled" : "cancelled: " + request.reason;
  const bool whole = request.what.job.empty();
  if (whole) {
    run.record.cancelling = true;
    run.record.note = reason;
    EventRecord& event = Tell(out, now, EventKind::kRunCancelling, run);
    event.by = asker.name;
    event.detail = request.reason;
    out.records.emplace_back(run.record);
    MarkChanged(state, run);
  }
  std::size_t count = 0;
  bool named = whole;
  for (std::size_t g = 0; g < run.groups.size(); ++g) {
    const JobGroup& group = run.groups[g];
    if (!whole && group.spec->name != request.what.job) continue;
    for (std::uint32_t i = 0; i < group.spec->shards; ++i) {
      if (request.what.shard && *request.what.shard != i) continue;
      named = true;
      Job& job = run.jobs[group.first + i];
      if (IsTerminal(job.state)) continue;
      ++count;
      CancelJob(state, out, now, run, job, reason);
    }
  }
  if (!named) {
    Refuse(out, asker, Errc::kNotFound, run.Name() + " has no job " + FormatSelector(request.what));
    return;
  }
  if (count == 0) {
    Refuse(out, asker, Errc::kRejected, "nothing to cancel: " + FormatSelector(request.what) + " has ended");
    return;
  }
  Answer(out, asker,
         Done{"cancelling " + std::to_string(count) + (count == 1 ? " job of " : " jobs of ") + run.Name()});
}

void On(State& state, Outbox& out, Now, const Asker& asker, const Retry& request) {
  if (RefuseOrAnswer(state, out, asker, request.request)) return;
  if (const Run* run = state.FindRun(request.run); run != nullptr && !run->Ended()) {
    Refuse(out, asker, Errc::kRejected, run->Name() + " has not ended; cancel it first or wait");
    return;
  }
  AskHistory(state, out, asker, request, request.run);
}

void On(State& state, Outbox& out, Now now, const RetryFound& found) {
  OnHistoryAnswered(state, found.asker);
  const auto& [asker, request, old, spec, jobs, attempts] = found;
  if (RefuseOrAnswer(state, out, asker, request.request)) return;
  const std::string old_name = old.name + "#" + std::to_string(old.number);
  if (request.failed_only &&
      std::all_of(jobs.begin(), jobs.end(), [](const JobRecord& job) { return job.state == JobState::kPassed; })) {
    Refuse(out, asker, Errc::kRejected, "every job of " + old_name + " passed; retry it whole to run them again");
    return;
  }
  Run& run = AcceptRun(state, out, now,
                       {.request = request.request,
                        .pipeline = old.pipeline,
                        .spec = spec,
                        .text = {old.text, nullptr},
                        .source = old.source,
                        .info = old.info,
                        .retry_of = old.id,
                        .by = asker.name});
  if (request.failed_only) {
    std::unordered_map<JobId, const AttemptRecord*> newest;
    for (const AttemptRecord& attempt : attempts) newest[attempt.job] = &attempt;
    // The jobs of both runs have the same order, so a job's index is the same in both.
    for (const JobRecord& record : jobs) {
      const std::uint64_t index = Raw(record.id) - Raw(old.first_job);
      const auto attempt = newest.find(record.id);
      if (record.state != JobState::kPassed || index >= run.jobs.size() || attempt == newest.end()) continue;
      Job& job = run.jobs[index];
      AttemptRecord taken = *attempt->second;
      taken.run = run.record.id;
      taken.job = job.id;
      job.metrics = taken.metrics;
      out.records.emplace_back(taken);
      job.attempts = {std::move(taken)};
      job.started = record.started;
      const bool again = Raw(record.reused_run) != 0;
      job.reused_run = again ? record.reused_run : old.id;
      job.reused_job = again ? record.reused_job : record.id;
    }
    // A job may be ready by now, because the jobs that it needs were settled just before.
    for (Job& job : run.jobs)
      if (Raw(job.reused_run) != 0 && !IsTerminal(job.state)) SettleJob(state, out, now, run, job, JobState::kPassed);
  }
  StartRun(state, now, run);
  Answer(out, asker, Submitted{run.record.id, run.Name(), false, "retries " + old_name});
}

}  // namespace furrow
