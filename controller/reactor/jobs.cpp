#include <algorithm>
#include <span>
#include <string>
#include <utility>

#include "common/base/hash.h"
#include "common/wire/metrics.h"
#include "controller/reactor/events.h"
#include "controller/reactor/jobs.h"
#include "controller/reactor/timeline.h"
#include "controller/reactor/transitions.h"

namespace furrow {
namespace {

// Returns the run and job of an attempt if this agent holds exactly this attempt, else nulls.
std::pair<Run*, Job*> Current(State& state, const std::string& agent, AttemptRef attempt) {
  const auto [run, job] = state.FindJob(attempt.job);
  if (job == nullptr || !job->OnAgent() || job->epoch != attempt.epoch || job->agent != agent ||
      IsOutdated(state, attempt.epoch))
    return {nullptr, nullptr};
  return {run, job};
}

// Returns the new lines that the attempt may still report, and counts all of them. Behind the first line that is left
// out nothing is kept: what is on record has no gap.
std::vector<MetricLine> KeepMetrics(Job& job, std::span<const MetricLine> lines) {
  std::vector<MetricLine> kept;
  for (const MetricLine& line : lines) {
    if (job.metrics_left_out > 0 || !FitsMetricsQuota(job.metrics_count, job.metrics_bytes, line)) {
      ++job.metrics_left_out;
    } else {
      job.metrics_bytes += WireBytes(line);
      kept.push_back(line);
    }
    ++job.metrics_count;
  }
  return kept;
}

// Records the lines that are not on record yet, as far as the attempt may report them; the agent leaves out the others,
// too, and says so, unless it is at fault. Returns false if there is a gap before them.
bool TakeMetrics(Outbox& out, Job& job, std::uint64_t first, const std::vector<MetricLine>& lines) {
  if (std::exchange(job.metrics_damaged, false)) job.metrics_count = first;
  if (first > job.metrics_count) return false;
  const std::uint64_t known = std::min<std::uint64_t>(job.metrics_count - first, lines.size());
  if (known == lines.size()) return true;
  MetricsRecord record{job.attempt(), job.metrics_count, {}, job.run};
  const std::uint64_t left_out = job.metrics_left_out;
  record.lines = KeepMetrics(job, std::span(lines).subspan(known));
  if (job.metrics_left_out != left_out) out.records.emplace_back(job.record());
  if (record.lines.empty()) return true;
  KeepNewest(job.metrics, record.lines, kMaxJobMetrics);  // The agent caps the names, too, and says so.
  out.records.emplace_back(std::move(record));
  return true;
}

}  // namespace

Status On(State& state, Outbox& out, Now now, const Sender& from, const Started& message) {
  const auto [run, job] = Current(state, from.agent, message.attempt);
  if (job == nullptr) return Fail(Errc::kRejected, "Started of an attempt that is not current");
  if (job->state == JobState::kRunning) return {};
  job->state = JobState::kRunning;
  job->started = message.at;
  // With this record a restart of the controller does not begin the job's time again.
  out.records.emplace_back(job->record());
  Tell(out, now, EventKind::kJobStarted, *run, *job).subject = job->agent;
  MarkChanged(state, *run, *job);
  return {};
}

Status On(State& state, Outbox& out, Now, const Sender& from, const MetricsReport& message) {
  const auto [run, job] = Current(state, from.agent, message.attempt);
  if (job == nullptr) {  // The metrics are useless, but an acknowledgement lets the agent go on.
    out.to_agents.push_back(
        {from.peer, MetricsAck{message.session, message.attempt, message.first + message.lines.size()}});
    return Fail(Errc::kRejected, "metrics of an attempt that is not current");
  }
  TakeMetrics(out, *job, message.first, message.lines);
  out.to_agents.push_back({from.peer, MetricsAck{message.session, message.attempt, job->metrics_count}});
  MarkChanged(state, *run, *job);
  return {};
}

Status On(State& state, Outbox& out, Now now, const Sender& from, const Finished& message) {
  const auto [run, job] = Current(state, from.agent, message.attempt);
  if (job == nullptr) {
    out.to_agents.push_back({from.peer, FinishedAck{message.session, message.attempt}});
    return Fail(Errc::kRejected, "Finished of an attempt that is not current");
  }
  AttemptRecord attempt;
  attempt.log.length = message.log_length;
  attempt.log.hash = message.log_hash;
  if (message.small_log) {
    if (message.small_log->size() != message.log_length || HashOf(*message.small_log) != message.log_hash)
      return Fail(Errc::kRejected, "Finished whose log does not have the length and hash that it states");
  } else if (message.log_length > 0 && job->seal_damaged && !job->sealed) {
    // The agent was told that its log is sealed, so it would not seal it again. A log that was sealed has its own file.
    attempt.log.location = {LogStorage::kOwnFile, 0, 0};
  } else if (message.log_length > 0) {
    if (!job->sealed || job->sealed->length != message.log_length || job->sealed->hash != message.log_hash)
      return Fail(Errc::kRejected, "Finished before its log was sealed");
    attempt.log = *job->sealed;
  }
  if (!TakeMetrics(out, *job, message.metrics_first, message.metrics)) {
    out.to_agents.push_back({from.peer, MetricsAck{message.session, message.attempt, job->metrics_count}});
    return Fail(Errc::kRejected, "Finished with a gap before its metrics");
  }
  if (message.small_log && !message.small_log->empty())
    out.small_logs.push_back({run->record.id, message.attempt, *message.small_log});
  attempt.started = message.started;
  attempt.ended = message.ended;
  attempt.outcome = message.outcome;
  if (job->metrics_left_out > 0)
    attempt.outcome.detail += (attempt.outcome.detail.empty() ? "" : "\n") + std::to_string(job->metrics_left_out) +
                              " lines of its metrics are not kept: " + MetricsQuotaWords();
  attempt.cpu_ms = message.cpu_ms;
  attempt.max_rss_bytes = message.max_rss_bytes;
  attempt.artifacts = message.artifacts;
  if (job->started == WallTime{}) job->started = message.started;
  EndAttempt(state, out, now, *run, *job, std::move(attempt));
  out.to_agents.push_back({from.peer, FinishedAck{message.session, message.attempt}});
  return {};
}

void OnUnsendable(State& state, Outbox& out, Now now, const AgentSend& send, const std::string& why) {
  const auto* assign = std::get_if<Assign>(&send.message);
  if (assign == nullptr) return;
  const auto [run, job] = state.FindJob(assign->attempt.job);
  if (job == nullptr || !job->OnAgent() || job->epoch != assign->attempt.epoch) return;
  AttemptRecord attempt;
  attempt.ended = now.wall;
  attempt.outcome = {OutcomeKind::kStartFailed, 0, 0, "the job cannot be assigned: " + why};
  EndAttempt(state, out, now, *run, *job, std::move(attempt));
}

void On(State& state, Outbox& out, Now, const BulkLogSealed& event) {
  const auto& [attempt, log] = event;
  const auto [run, job] = state.FindJob(attempt.job);
  if (job != nullptr && job->OnAgent() && job->epoch == attempt.epoch && !job->sealed) {
    job->sealed = log;
    out.records.emplace_back(SealRecord{attempt, log});
  }
  out.bulk.emplace_back(BulkSealDurable{attempt});
}

}  // namespace furrow
