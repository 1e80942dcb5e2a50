#include <algorithm>
#include <span>

#include "agent/reactor.h"
#include "common/check.h"
#include "common/codec.h"

namespace furrow {
namespace {

using Stage = HeldJob::Stage;

constexpr Duration kFirstRepeat = std::chrono::seconds(1);
constexpr Duration kLastRepeat = std::chrono::seconds(10);
constexpr std::size_t kMetricsBatch = 1000;  // lines in one message

template <class... F>
struct Overloaded : F... {
  using F::operator()...;
};

std::uint32_t TakePlace(AgentState& state) {
  if (state.free_places.empty()) return state.places_made++;
  const std::uint32_t place = state.free_places.back();
  state.free_places.pop_back();
  return place;
}

void Forget(AgentState& state, AgentOutbox& out, Now now, AttemptRef ref) {
  out.runner.emplace_back(runner::Forget{ref});
  const HeldJob& job = state.jobs.at(ref);
  if (!job.abandoned) {
    out.uploads.emplace_back(Clear{ref, WorkspaceOf(state.settings, job.place), SpoolOf(state.settings, job.place),
                                   MetricsFileOf(state.settings, job.place)});
    state.clearing[ref] = job.place;
  }
  state.reporting.erase(ref);
  state.jobs.erase(ref);
  state.done.insert(ref);
  state.done_order.emplace_back(now.mono, ref);
}

// How many of the waiting lines fit into one message.
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
  job.stage = Stage::kReporting;
  job.report_wait = kFirstRepeat;
  state.reporting.insert(job.ref());
  SendFinished(state, out, now, job);
}

void FreeDevices(AgentState& state, const HeldJob& job) {
  if (!job.OccupiesDevices()) return;
  state.cpu_milli_used -= job.assign->spec->resources.cpu_milli;
  state.memory_used -= job.assign->spec->resources.memory_bytes;
}

// The attempt has ended; brings home what it leaves behind.
void BringHome(AgentState& state, AgentOutbox& out, Now now, HeldJob& job, std::uint64_t spool_bytes, bool ran) {
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
    out.uploads.emplace_back(FinishLog{ref, spool_bytes});
  } else {
    job.output_done = true;
  }
  if (ran && job.report.outcome.passed() && !job.assign->spec->artifacts.empty()) {
    out.uploads.emplace_back(Collect{ref, WorkspaceOf(state.settings, job.place), job.assign->spec->artifacts});
  } else {
    job.artifacts_done = true;
  }
  ReportIfDone(state, out, now, job);
}

// Hands prepared jobs to the runner, in order, as far as CPUs and memory allow. Not once the lease is out: the
// controller may have given them to another; OnTick ends them.
void StartWaiting(AgentState& state, AgentOutbox& out, Now now) {
  if (!state.runner_ready || state.stopping || (state.lease_until && now.mono >= *state.lease_until)) return;
  for (auto it = state.waiting.begin(); it != state.waiting.end();) {
    HeldJob& job = state.jobs.at(*it);
    const Resources& need = job.assign->spec->resources;
    const bool alone = state.cpu_milli_used == 0;
    if (!alone && (state.cpu_milli_used + need.cpu_milli > state.offer.cpu_milli ||
                   state.memory_used + need.memory_bytes > state.offer.memory_bytes)) {
      if (state.cpu_milli_used >= state.offer.cpu_milli) return;
      ++it;
      continue;
    }
    state.cpu_milli_used += need.cpu_milli;
    state.memory_used += need.memory_bytes;
    job.stage = Stage::kStarting;
    out.runner.emplace_back(MakeStart(state, job));
    it = state.waiting.erase(it);
  }
}

Outcome Translate(const HeldJob& job, const runner::Exited& event) {
  static_assert(static_cast<int>(OutcomeKind::kExited) == 0);
  Outcome outcome;
  outcome.code = event.outcome.code;
  outcome.step = event.step;
  outcome.detail = event.outcome.text;
  switch (event.outcome.kind) {
    case runner::OutcomeKind::kExited: outcome.kind = OutcomeKind::kExited; break;
    case runner::OutcomeKind::kSignaled: outcome.kind = OutcomeKind::kSignaled; break;
    case runner::OutcomeKind::kStartFailed: outcome.kind = OutcomeKind::kStartFailed; break;
    case runner::OutcomeKind::kTimedOut: outcome.kind = OutcomeKind::kTimedOut; break;
    case runner::OutcomeKind::kKilled: outcome.kind = OutcomeKind::kKilled; break;
    case runner::OutcomeKind::kLogQuota: outcome.kind = OutcomeKind::kLogQuota; break;
    case runner::OutcomeKind::kLost: outcome.kind = OutcomeKind::kLost; break;
  }
  // Killed, but not because the controller asked: by the lease, or with the whole farm (Ctrl-C of `furrow up`).
  if (outcome.kind == OutcomeKind::kKilled && (job.lease_lost || !job.killing)) outcome.kind = OutcomeKind::kLost;
  if (outcome.detail.size() > 4096) outcome.detail.resize(4096);
  return outcome;
}

void TakeExit(AgentState& state, AgentOutbox& out, Now now, HeldJob& job, const runner::Exited& event) {
  job.report.outcome = Translate(job, event);
  job.report.started = event.started;
  job.report.ended = event.ended;
  job.report.cpu_ms = event.cpu_us / 1000;
  job.report.max_rss_bytes = event.max_rss_bytes;
  BringHome(state, out, now, job, event.spool_bytes, /*ran=*/true);
}

void TakeMetrics(AgentState& state, AgentOutbox& out, Now now, HeldJob& job, const MetricsRead& event) {
  const std::uint64_t next = job.metrics_first + job.metrics.size();
  if (event.first > next) return;
  for (std::size_t i = next - event.first; i < event.lines.size(); ++i) {
    job.metrics.push_back(event.lines[i]);
    job.metrics.back().at = now.wall;
  }
  // A job that has ended says the rest in its report.
  if (job.metrics.empty() || job.stage != Stage::kRunning) return;
  state.reporting.insert(job.ref());
  SendMetrics(state, out, now, job);
}

void TakeUpload(HeldJob& job, const UploadEvent& event) {
  Finished& report = job.report;
  std::visit(Overloaded{
                 [&](const LogInline& log) {
                   job.output_done = true;
                   report.log_length = log.bytes.size();
                   report.log_hash = log.hash;
                   report.small_log = log.bytes;
                 },
                 [&](const LogStreamed& log) {
                   job.output_done = true;
                   report.log_length = log.length;
                   report.log_hash = log.hash;
                   report.small_log.reset();
                 },
                 [&](const ArtifactsCommitted& artifacts) {
                   job.artifacts_done = true;
                   report.artifacts = artifacts.tree;
                 },
                 [&](const ArtifactMissing& artifacts) {
                   job.artifacts_done = true;
                   report.outcome.kind = OutcomeKind::kArtifactMissing;
                   report.outcome.detail = "the steps passed, but nothing in the workspace matches the artifact `" +
                                           artifacts.pattern + "`; write it, or take it out of `artifacts`";
                 },
                 [&](const ArtifactsFailed& artifacts) {
                   job.artifacts_done = true;
                   report.outcome.kind = OutcomeKind::kUploadFailed;
                   report.outcome.detail = artifacts.message;
                 },
                 [](const MetricsRead&) {},
                 [](const Cleared&) {},
             },
             event);
}

// The job of a runner's attempt that we have no memory of, from the Assign in its blob.
HeldJob* Recall(AgentState& state, AgentOutbox& out, const runner::Attempt& attempt) {
  Result<std::pair<Assign, std::uint32_t>> read = ReadBlob(attempt.blob);
  if (!read || read->first.attempt != attempt.ref) {  // of a version that we do not understand
    if (attempt.running) out.runner.emplace_back(runner::Kill{attempt.ref, "its description cannot be read", 0});
    out.runner.emplace_back(runner::Forget{attempt.ref});
    return nullptr;
  }
  HeldJob job;
  job.assign = std::make_shared<const Assign>(std::move(read->first));
  job.place = read->second;
  state.places_made = std::max(state.places_made, job.place + 1);
  job.stage = Stage::kRunning;
  job.shown = true;
  job.report.started = attempt.started;
  state.cpu_milli_used += job.assign->spec->resources.cpu_milli;
  state.memory_used += job.assign->spec->resources.memory_bytes;
  return &state.jobs.emplace(attempt.ref, std::move(job)).first->second;
}

}  // namespace

Phase HeldJob::phase() const {
  switch (stage) {
    case Stage::kPreparing:
    case Stage::kWaiting:
    case Stage::kStarting: return Phase::kPreparing;
    case Stage::kRunning: return Phase::kRunning;
    case Stage::kCollecting:
    case Stage::kReporting: return Phase::kReporting;
  }
  return Phase::kReporting;
}

void AgentState::CheckInvariants() const {
  std::uint64_t cpu = 0;
  std::size_t waits = 0;
  std::set<std::uint32_t> places;
  for (const auto& [ref, job] : jobs) {
    FURROW_CHECK(job.assign != nullptr && job.ref() == ref, "a job is filed under its own attempt");
    if (job.OccupiesDevices()) cpu += job.assign->spec->resources.cpu_milli;
    if (job.stage == HeldJob::Stage::kWaiting) ++waits;
    FURROW_CHECK(places.insert(job.place).second, "a place is one job's");
    FURROW_CHECK(!done.contains(ref), "a job that is done is not held");
    FURROW_CHECK(job.stage != HeldJob::Stage::kReporting || reporting.contains(ref), "a report is repeated");
  }
  for (const auto& [ref, place] : clearing) FURROW_CHECK(places.insert(place).second, "a place is cleared for one job");
  for (const std::uint32_t place : free_places) FURROW_CHECK(places.insert(place).second, "a free place is no job's");
  FURROW_CHECK(places.empty() || *places.rbegin() < places_made, "places are counted");
  FURROW_CHECK(cpu == cpu_milli_used, "CPUs are booked for the jobs that run");
  FURROW_CHECK(waits == waiting.size(), "a waiting job is queued once");
}

Status OnAssign(AgentState& state, AgentOutbox& out, Now now, const Assign& message) {
  const AttemptRef ref = message.attempt;
  if (state.jobs.contains(ref) || state.done.contains(ref)) return {};
  if (state.lease_until && now.mono >= *state.lease_until)
    return Fail(Errc::kRejected, "an Assign while the lease is out");
  HeldJob job;
  job.assign = std::make_shared<const Assign>(message);
  job.place = TakePlace(state);
  if (state.stopping) {  // it was on its way: the controller hears at once that it must go elsewhere
    job.stage = Stage::kWaiting;
    state.waiting.push_back(ref);
    EndJob(state, out, now, state.jobs.emplace(ref, std::move(job)).first->second, OutcomeKind::kLost, kStopped);
    return {};
  }
  if (message.trees.empty()) {  // nothing to fetch; the runner makes the folder
    job.stage = Stage::kWaiting;
    state.waiting.push_back(ref);
  } else {
    out.workspace.emplace_back(Prepare{ref, WorkspaceOf(state.settings, job.place), message.trees});
  }
  state.jobs.emplace(ref, std::move(job));
  StartWaiting(state, out, now);
  return {};
}

void OnWorkspaceEvent(AgentState& state, AgentOutbox& out, Now now, const WorkspaceEvent& event) {
  const AttemptRef ref = std::visit([](const auto& one) { return one.attempt; }, event);
  const auto it = state.jobs.find(ref);
  if (it == state.jobs.end() || it->second.stage != Stage::kPreparing) return;
  HeldJob& job = it->second;
  if (const auto* failed = std::get_if<PrepareFailed>(&event)) {
    job.report.outcome = {OutcomeKind::kInputFailed, 0, 0, failed->message};
    BringHome(state, out, now, job, 0, /*ran=*/false);
    return;
  }
  job.stage = Stage::kWaiting;
  state.waiting.push_back(ref);
  StartWaiting(state, out, now);
}

void OnRunnerExited(AgentState& state, AgentOutbox& out, Now now, const runner::Exited& event) {
  const auto it = state.jobs.find(event.ref);
  if (it == state.jobs.end() || !it->second.OccupiesDevices()) return;
  TakeExit(state, out, now, it->second, event);
  StartWaiting(state, out, now);
}

void OnRunnerGone(AgentState& state) {
  state.runner_ready = false;
}

void OnListing(AgentState& state, AgentOutbox& out, Now now, const runner::Listing& listing) {
  std::set<AttemptRef> listed;
  for (const runner::Attempt& attempt : listing.attempts) {
    listed.insert(attempt.ref);
    const auto known = state.jobs.find(attempt.ref);
    HeldJob* job = known != state.jobs.end() ? &known->second : nullptr;
    if (job == nullptr) {
      // Only our first look finds attempts of an earlier process of the agent. Later ones that we do not know are
      // forgotten, a Forget of ours was lost: their places may be others' by now.
      if (state.runner_known) {
        if (attempt.running) out.runner.emplace_back(runner::Kill{attempt.ref, "forgotten by its agent", 0});
        out.runner.emplace_back(runner::Forget{attempt.ref});
        continue;
      }
      job = Recall(state, out, attempt);
      if (job == nullptr) continue;
      out.uploads.emplace_back(FollowOf(state, *job, /*resumed=*/true));
    }
    if (!job->OccupiesDevices()) continue;
    if (!attempt.running) {
      TakeExit(state, out, now, *job, attempt.exited);
      continue;
    }
    if (job->stage == Stage::kStarting)
      OnRunnerStarted(state, out, now, runner::Started{attempt.ref, 0, attempt.started});
    if (job->killing) EndJob(state, out, now, *job, OutcomeKind::kKilled, "cancelled");
  }
  // Told to a runner that died before it wrote them down: no process ever ran.
  std::vector<AttemptRef> unheard;
  for (const auto& [ref, job] : state.jobs)
    if (job.OccupiesDevices() && !listed.contains(ref)) unheard.push_back(ref);
  for (const AttemptRef& ref : unheard) {
    HeldJob& job = state.jobs.at(ref);
    FreeDevices(state, job);
    job.stage = Stage::kWaiting;
    state.waiting.push_back(ref);
    if (!job.killing) continue;
    const bool lost = job.lease_lost;
    EndJob(state, out, now, job, lost ? OutcomeKind::kLost : OutcomeKind::kKilled, lost ? kLeaseOut : "cancelled");
  }
  state.runner_ready = state.runner_known = true;
  if (state.lease_until && now.mono < *state.lease_until) out.lease_until = state.lease_until;  // it may be a new one
  StartWaiting(state, out, now);
}

void EndJob(AgentState& state, AgentOutbox& out, Now now, HeldJob& job, OutcomeKind kind, const std::string& reason) {
  switch (job.stage) {
    case Stage::kPreparing:
      out.workspace.emplace_back(CancelPrepare{job.ref()});
      job.abandoned = true;
      [[fallthrough]];
    case Stage::kWaiting:
      job.report.outcome = {kind, 0, 0, reason};
      BringHome(state, out, now, job, 0, /*ran=*/false);
      return;
    case Stage::kStarting:
    case Stage::kRunning:
      job.killing = true;
      out.runner.emplace_back(runner::Kill{
          job.ref(), reason, static_cast<std::uint64_t>(state.settings.kill_grace / std::chrono::milliseconds(1))});
      return;
    case Stage::kCollecting:
    case Stage::kReporting: return;
  }
}

Status OnKill(AgentState& state, AgentOutbox& out, Now now, const Kill& message) {
  const auto it = state.jobs.find(message.attempt);
  if (it == state.jobs.end()) return {};
  HeldJob& job = it->second;
  if (message.forget) job.unwanted = true;
  if (job.unwanted && (job.stage == Stage::kCollecting || job.stage == Stage::kReporting)) {
    Forget(state, out, now, message.attempt);
    return {};
  }
  EndJob(state, out, now, job, OutcomeKind::kKilled, message.reason);
  return {};
}

void OnUploadEvent(AgentState& state, AgentOutbox& out, Now now, const UploadEvent& event) {
  const AttemptRef ref = std::visit([](const auto& one) { return one.attempt; }, event);
  if (std::holds_alternative<Cleared>(event)) {
    if (const auto place = state.clearing.extract(ref)) state.free_places.push_back(place.mapped());
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
  TakeUpload(job, event);
  ReportIfDone(state, out, now, job);
}

Status OnFinishedAck(AgentState& state, AgentOutbox& out, Now now, const FinishedAck& message) {
  const auto it = state.jobs.find(message.attempt);
  if (it == state.jobs.end() || it->second.stage != Stage::kReporting) return {};
  Forget(state, out, now, message.attempt);
  return {};
}

Status OnMetricsAck(AgentState& state, AgentOutbox& out, Now now, const MetricsAck& message) {
  const auto it = state.jobs.find(message.attempt);
  if (it == state.jobs.end()) return {};
  HeldJob& job = it->second;
  if (message.count <= job.metrics_first) return {};  // nothing new; what is not acknowledged is repeated in time
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
