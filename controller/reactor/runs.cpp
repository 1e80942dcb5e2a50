#include <algorithm>

#include "common/wire/job_state.h"
#include "common/wire/selector.h"
#include "controller/reactor/answer.h"
#include "controller/reactor/runs.h"
#include "controller/reactor/transitions.h"

namespace furrow {
namespace {

constexpr std::uint64_t kRequestsRemembered = 10'000;  // as many as after a restart

// Keeps the requests of the newest runs and of live runs. Scans all requests only when twice as many are kept.
void ForgetOldRequests(State& state) {
  if (state.requests.size() < 2 * kRequestsRemembered) return;
  std::erase_if(state.requests, [&](const auto& known) {
    if (Raw(known.second) + kRequestsRemembered > Raw(state.last_run)) return false;
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

}  // namespace

Run& AcceptRun(State& state, Outbox& out, Now now, Uuid request, Pipeline pipeline, Hash source, SourceInfo info,
               RunId retry_of) {
  ForgetOldRequests(state);
  RunRecord record;
  record.id = RunId{Raw(state.last_run) + 1};
  record.number = state.last_number[pipeline.name] + 1;
  record.request = request;
  record.pipeline = std::move(pipeline);
  record.source = source;
  record.info = std::move(info);
  record.submitted = now.wall;
  record.first_job = JobId{Raw(state.last_job) + 1};
  record.retry_of = retry_of;
  out.records.emplace_back(record);
  return InsertRun(state, std::move(record));
}

void On(State& state, Outbox& out, Now now, const Asker& asker, const Submit& request) {
  if (AnswerRepeated(state, out, asker, request.request)) return;
  if (!state.refusing.empty()) {
    Refuse(out, asker, Errc::kUnavailable, "no new work is accepted: " + state.refusing);
    return;
  }
  ParsedPipeline parsed = ParsePipeline(request.text, request.default_name, request.overrides);
  if (!parsed.ok()) {
    Answer(out, asker, Failure{Errc::kInvalid, "the pipeline file has mistakes", request.file, parsed.diagnostics});
    return;
  }
  Run& run = AcceptRun(state, out, now, request.request, std::move(parsed.pipeline), request.source, request.info);
  StartRun(state, now, run);
  Answer(out, asker, Submitted{run.record.id, run.Name(), false, ""});
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
  if (AnswerRepeated(state, out, asker, request.request)) return;
  if (!state.refusing.empty()) {
    Refuse(out, asker, Errc::kUnavailable, "no new work is accepted: " + state.refusing);
    return;
  }
  if (const Run* run = state.FindRun(request.run); run != nullptr && !run->Ended()) {
    Refuse(out, asker, Errc::kRejected, run->Name() + " has not ended; cancel it first or wait");
    return;
  }
  out.history.push_back({asker, request, {}});
}

void On(State& state, Outbox& out, Now now, const RetryFound& found) {
  const auto& [asker, request, old, jobs] = found;
  if (AnswerRepeated(state, out, asker, request.request)) return;
  const std::string old_name = old.pipeline.name + "#" + std::to_string(old.number);
  if (request.failed_only &&
      std::all_of(jobs.begin(), jobs.end(), [](const JobRecord& job) { return job.state == JobState::kPassed; })) {
    Refuse(out, asker, Errc::kRejected, "every job of " + old_name + " passed; retry it whole to run them again");
    return;
  }
  Run& run = AcceptRun(state, out, now, request.request, old.pipeline, old.source, old.info, old.id);
  if (request.failed_only) {
    // The jobs of both runs have the same order, so a job's index is the same in both.
    for (const JobRecord& record : jobs) {
      const std::uint64_t index = Raw(record.id) - Raw(old.first_job);
      if (record.state != JobState::kPassed || index >= run.jobs.size() || record.attempts.empty()) continue;
      Job& job = run.jobs[index];
      job.attempts = {record.attempts.back()};
      job.metrics = record.metrics;
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
