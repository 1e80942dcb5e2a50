#include "agent/reactor/reports.h"

// Collects the output, artifacts and metrics of an attempt that has ended, and repeats its report until the controller
// has acknowledged the report.
#include <algorithm>

#include "agent/reactor/devices.h"
#include "agent/reactor/job_start.h"
#include "agent/reactor/jobs.h"
#include "agent/reactor/session.h"
#include "common/base/overloaded.h"
#include "common/wire/job_state.h"
#include "common/wire/metrics.h"
#include "schemas/agent.h"

namespace furrow {
namespace {

using Stage = HeldJob::Stage;

constexpr Duration kFirstRepeat = std::chrono::seconds(1);
constexpr Duration kLastRepeat = std::chrono::seconds(10);
constexpr std::size_t kMetricsBatch = 1000;  // lines in one message

// Adds a line to the report's detail.
void AddDetail(HeldJob& job, const std::string& detail) {
  if (detail.empty()) return;
  std::string& said = job.report.outcome.detail;
  said += (said.empty() ? "" : "\n") + detail;
}

// Returns how many of the waiting lines fit into one message.
std::size_t MetricsThatFit(const HeldJob& job) {
  std::size_t count = 0;
  std::size_t bytes = 0;
  for (const MetricLine& line : job.metrics) {
    bytes += WireBytes(line);
    if (count == kMetricsBatch || bytes > kMaxMetricsBytes) break;
    ++count;
  }
  return count;
}

void SendMetrics(AgentState& state, AgentOutbox& out, Now now, HeldJob& job) {
  if (!job.metrics.empty() && state.session) {
    const auto end = job.metrics.begin() + static_cast<std::ptrdiff_t>(MetricsThatFit(job));
    out.to_controller.emplace_back(
        MetricsReport{state.session->id, job.ref(), job.metrics_first, {job.metrics.begin(), end}});
    job.metrics_sent = now.mono;
  }
}

void SendFinished(AgentState& state, AgentOutbox& out, Now now, HeldJob& job) {
  if (!state.session) return;
  job.report_sent = now.mono;
  if (job.metrics.size() > MetricsThatFit(job)) {
    SendMetrics(state, out, now, job);
    return;
  }
  Finished report = job.report;
  report.session = state.session->id;
  report.attempt = job.ref();
  report.metrics_first = job.metrics_first;
  report.metrics.assign(job.metrics.begin(), job.metrics.end());
  out.to_controller.emplace_back(std::move(report));
}

void ReportIfDone(AgentState& state, AgentOutbox& out, Now now, HeldJob& job) {
  if (job.stage != Stage::kCollecting || !job.output_done || !job.artifacts_done) return;
  AddDetail(job, job.metrics_left_out);
  job.stage = Stage::kReporting;
  job.report_wait = kFirstRepeat;
  state.reporting.insert(job.ref());
  SendFinished(state, out, now, job);
}

void TakeMetrics(AgentState& state, AgentOutbox& out, Now now, HeldJob& job, const MetricsRead& event) {
  if (!event.left_out.empty()) job.metrics_left_out = event.left_out;
  const std::uint64_t next = job.metrics_first + job.metrics.size();
  if (event.first > next) return;
  for (std::size_t i = next - event.first; i < event.lines.size(); ++i) {
    job.metrics.push_back(event.lines[i]);
    job.metrics.back().at = now.wall;
  }
  // A job that has ended sends the remaining metrics with its report.
  if (job.metrics.empty() || job.stage != Stage::kRunning) return;
  state.reporting.insert(job.ref());
  SendMetrics(state, out, now, job);
}

// Takes in that artifacts are not kept: a job whose steps passed fails for it, another has a word about it. What a full
// disk may have prevented is the farm's fault, and the attempt is lost.
void TakeLack(const AgentState& state, HeldJob& job, OutcomeKind kind, const std::string& what) {
  if (what.empty()) return;
  Outcome& outcome = job.report.outcome;
  if (!Passed(outcome)) return AddDetail(job, "of its artifacts: " + what);
  if (job.disk_full)
    outcome = {OutcomeKind::kLost, 0, outcome.step, DiskWasFull(state) + ": the steps passed, but " + what};
  else
    outcome = {kind, 0, outcome.step, "the steps passed, but " + what};
}

// Takes in the length of the log that the controller gets. A log with a hole must not pass for whole: the attempt is
// lost, whoever took its output away, and tried again.
void TakeLog(HeldJob& job, std::uint64_t length) {
  job.output_done = true;
  job.report.log_length = length;
  if (length >= job.log_bytes.value_or(0) || job.report.outcome.kind == OutcomeKind::kLost) return;
  job.report.outcome = {OutcomeKind::kLost, 0, job.report.outcome.step,
                        "of the " + std::to_string(*job.log_bytes) + " bytes that it printed " +
                            std::to_string(length) +
                            " are left: something has removed or cut files of the agent's spool"};
}

void TakeUpload(const AgentState& state, HeldJob& job, const UploadEvent& event) {
  Finished& report = job.report;
  std::visit(Overloaded{
                 [&](const LogInline& log) {
                   TakeLog(job, log.bytes.size());
                   report.log_hash = log.hash;
                   report.small_log = log.bytes;
                 },
                 [&](const LogStreamed& log) {
                   TakeLog(job, log.length);
                   report.log_hash = log.hash;
                   report.small_log.reset();
                 },
                 [&](const ArtifactsCommitted& artifacts) {
                   job.artifacts_done = true;
                   report.artifacts = artifacts.tree;
                   TakeLack(state, job, OutcomeKind::kArtifactMissing, artifacts.lacking);
                   AddDetail(job, artifacts.note);
                 },
                 [&](const ArtifactsFailed& artifacts) {
                   job.artifacts_done = true;
                   TakeLack(state, job,
                            artifacts.permanent ? OutcomeKind::kArtifactMissing : OutcomeKind::kUploadFailed,
                            artifacts.message);
                 },
                 [](const MetricsRead&) {},
                 [](const Cleared&) {},
             },
             event);
}

}  // namespace

void Forget(AgentState& state, AgentOutbox& out, Now now, AttemptRef ref) {
  out.runner.emplace_back(runner::Forget{ref});
  const HeldJob& job = state.jobs.at(ref);
  if (!job.abandoned) {
    out.uploads.emplace_back(Clear{ref, WorkspaceOf(state.settings, job.slot), SpoolOf(state.settings, job.slot),
                                   MetricsFileOf(state.settings, job.slot)});
    state.clearing[ref] = job.slot;
  }
  state.reporting.erase(ref);
  state.jobs.erase(ref);
  state.done.insert(ref);
  state.done_order.emplace_back(now.mono, ref);
}

void CollectOutputs(AgentState& state, AgentOutbox& out, Now now, HeldJob& job, std::uint64_t spool_bytes, bool ran) {
  FreeDevices(state, job);
  if (job.stage == Stage::kWaiting) std::erase(state.waiting, job.ref());
  job.stage = Stage::kCollecting;
  const AttemptRef ref = job.ref();
  if (job.unwanted) {
    Forget(state, out, now, ref);
    return;
  }
  if (job.report.ended == WallTime{}) job.report.ended = now.wall;
  if (ran) {
    if (!job.shown) out.uploads.emplace_back(FollowOf(state, job, /*resumed=*/false));
    job.shown = true;
    if (spool_bytes != kAllThatIsThere) job.log_bytes = spool_bytes;
    out.uploads.emplace_back(FinishLog{ref, spool_bytes});
  } else {
    job.output_done = true;
  }
  // What a job made before it failed may be what its author needs most. An attempt that was lost begins again, and does
  // not wait for it.
  if (ran && job.report.outcome.kind != OutcomeKind::kLost && !job.assign->spec->artifacts.empty()) {
    out.uploads.emplace_back(Collect{ref, WorkspaceOf(state.settings, job.slot), job.assign->spec->artifacts});
  } else {
    job.artifacts_done = true;
  }
  ReportIfDone(state, out, now, job);
}

void On(AgentState& state, AgentOutbox& out, Now now, const UploadEvent& event) {
  const AttemptRef ref = std::visit([](const auto& one) { return one.attempt; }, event);
  if (std::holds_alternative<Cleared>(event)) {
    if (const auto slot = state.clearing.extract(ref)) state.free_slots.push_back(slot.mapped());
    return;
  }
  const auto it = state.jobs.find(ref);
  if (it == state.jobs.end()) return;
  HeldJob& job = it->second;
  if (const auto* metrics = std::get_if<MetricsRead>(&event)) {
    TakeMetrics(state, out, now, job, *metrics);
    return;
  }
  if (job.stage != Stage::kCollecting) return;
  TakeUpload(state, job, event);
  ReportIfDone(state, out, now, job);
}

Status On(AgentState& state, AgentOutbox& out, Now now, const FinishedAck& message) {
  const auto it = state.jobs.find(message.attempt);
  if (it == state.jobs.end() || it->second.stage != Stage::kReporting) return {};
  Forget(state, out, now, message.attempt);
  return {};
}

Status On(AgentState& state, AgentOutbox& out, Now now, const MetricsAck& message) {
  const auto it = state.jobs.find(message.attempt);
  if (it == state.jobs.end()) return {};
  HeldJob& job = it->second;
  if (message.count <= job.metrics_first) return {};  // The acknowledgement is old; SendReports repeats the rest.
  while (job.metrics_first < message.count && !job.metrics.empty()) {
    job.metrics.pop_front();
    ++job.metrics_first;
  }
  if (job.metrics_first < message.count) job.metrics_first = message.count;
  if (job.stage == Stage::kReporting) {
    SendFinished(state, out, now, job);
  } else if (job.metrics.empty()) {
    state.reporting.erase(message.attempt);
  } else if (job.metrics.size() >= kMetricsBatch) {
    SendMetrics(state, out, now, job);
  }
  return {};
}

void OnUnsendable(AgentState& state, AgentOutbox& out, Now now, const AgentMessage& message, const std::string& why) {
  const auto* metrics = std::get_if<MetricsReport>(&message);
  const auto* finished = std::get_if<Finished>(&message);
  if (metrics == nullptr && finished == nullptr) return;
  const auto it = state.jobs.find(metrics != nullptr ? metrics->attempt : finished->attempt);
  if (it == state.jobs.end()) return;
  HeldJob& job = it->second;
  const std::vector<MetricLine>& lines = metrics != nullptr ? metrics->lines : finished->metrics;
  // The fault is elsewhere, and the same message would come back at once.
  if (std::all_of(lines.begin(), lines.end(), [](const MetricLine& line) { return line.values.empty(); })) return;
  // The emptied lines keep their numbers, since the controller counts the lines.
  for (std::size_t i = 0; i < std::min(lines.size(), job.metrics.size()); ++i) job.metrics[i].values.clear();
  const std::string said = "metrics could not be sent: " + why;
  if (finished != nullptr) AddDetail(job, said);
  if (job.metrics_left_out.empty()) job.metrics_left_out = said;
  finished != nullptr ? SendFinished(state, out, now, job) : SendMetrics(state, out, now, job);
}

void SendReports(AgentState& state, AgentOutbox& out, Now now, bool all) {
  for (const AttemptRef& ref : state.reporting) {
    HeldJob& job = state.jobs.at(ref);
    if (job.stage == Stage::kReporting) {
      if (!all && now.mono - job.report_sent < job.report_wait) continue;
      job.report_wait = all ? kFirstRepeat : std::min(job.report_wait * 2, kLastRepeat);
      SendFinished(state, out, now, job);
    } else if (!job.metrics.empty() && (all || now.mono - job.metrics_sent >= kFirstRepeat)) {
      SendMetrics(state, out, now, job);
    }
  }
}

}  // namespace furrow
