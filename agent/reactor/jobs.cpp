#include "agent/reactor/jobs.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <span>
#include <string>

#include "agent/reactor/devices.h"
#include "agent/reactor/job_start.h"
#include "agent/reactor/reports.h"
#include "agent/reactor/session.h"
#include "agent/runner/ending_words.h"
#include "common/wire/job_state.h"
namespace furrow {
namespace {

using Stage = HeldJob::Stage;

constexpr Duration kShowDelay = std::chrono::milliseconds(20);  // A job that ends sooner sends no Started.

std::uint32_t TakeSlot(AgentState& state) {
  if (state.free_slots.empty()) return state.slots_made++;
  const std::uint32_t slot = state.free_slots.back();
  state.free_slots.pop_back();
  return slot;
}

// Takes in that an attempt may have ended as it did for want of space: that is the farm's fault, and it is lost. A job
// that ended well all the same is believed, with a word.
void JudgeDisk(AgentState& state, AgentOutbox& out, Now now, const HeldJob& job, Outcome& outcome) {
  const bool failed = (outcome.kind == OutcomeKind::kExited && outcome.code != 0) ||
                      outcome.kind == OutcomeKind::kStartFailed || outcome.kind == OutcomeKind::kInputFailed ||
                      outcome.kind == OutcomeKind::kLost;
  // What a program could not write it may have removed before anybody looked at the disk: then the log is believed.
  const bool says_so =
      outcome.detail == runner::kNoRoom || outcome.detail.find(std::strerror(ENOSPC)) != std::string::npos;
  if (!job.disk_full && !(failed && job.disk_near && says_so)) return;
  state.disk_full_at = now.mono;
  OnDiskSpace(state, out, now, state.disk_free);
  const std::string full = DiskWasFull(state);
  if (failed) {
    std::string how = outcome.kind == OutcomeKind::kExited ? "exit status " + std::to_string(outcome.code) : "";
    if (!outcome.detail.empty()) how += (how.empty() ? "" : ", ") + outcome.detail;
    outcome = {OutcomeKind::kLost, 0, outcome.step, full + ": " + how};
  } else {
    outcome.detail += (outcome.detail.empty() ? "" : "; ") + full +
                      (Passed(outcome) ? ": what it wrote without looking whether that succeeded may lack parts" : "");
  }
}

Outcome Translate(AgentState& state, AgentOutbox& out, Now now, const HeldJob& job, const runner::Exited& event) {
  static_assert(static_cast<int>(OutcomeKind::kExited) == 0);
  Outcome outcome;
  outcome.code = event.outcome.code;
  outcome.step = event.step;
  outcome.detail = event.outcome.text;
  switch (event.outcome.kind) {
    case runner::OutcomeKind::kExited: outcome.kind = OutcomeKind::kExited; break;
    case runner::OutcomeKind::kSignaled:  // It counts as shells have it, whether there was one in between or not.
      outcome.kind = OutcomeKind::kExited;
      outcome.code = ExitStatusOf(event.outcome.code);
      break;
    case runner::OutcomeKind::kStartFailed: outcome.kind = OutcomeKind::kStartFailed; break;
    case runner::OutcomeKind::kTimedOut: outcome.kind = OutcomeKind::kTimedOut; break;
    case runner::OutcomeKind::kKilled: outcome.kind = OutcomeKind::kKilled; break;
    case runner::OutcomeKind::kLogQuota: outcome.kind = OutcomeKind::kLogQuota; break;
    case runner::OutcomeKind::kLost: outcome.kind = OutcomeKind::kLost; break;
  }
  // The controller did not ask for this kill: the lease ran out, or the whole farm ended (Ctrl-C of `furrow up`).
  if (outcome.kind == OutcomeKind::kKilled && (job.lease_lost || !job.killing)) outcome.kind = OutcomeKind::kLost;
  JudgeDisk(state, out, now, job, outcome);
  if (outcome.detail.size() > 4096) outcome.detail.resize(4096);
  return outcome;
}

void TakeExit(AgentState& state, AgentOutbox& out, Now now, HeldJob& job, const runner::Exited& event) {
  job.report.outcome = Translate(state, out, now, job, event);
  job.report.started = event.started;
  job.report.ended = event.ended;
  job.report.cpu_ms = event.cpu_us / 1000;
  job.report.max_rss_bytes = event.max_rss_bytes;
  CollectOutputs(state, out, now, job, event.spool_bytes, /*ran=*/true);
}

// Returns the end of an attempt that has run as far as the agent knows, and of which the runner knows nothing.
runner::Exited Unlisted(AttemptRef ref, Now now) {
  runner::Exited lost;
  lost.ref = ref;
  lost.outcome = {runner::OutcomeKind::kLost, 0, "lost: the runner of this agent died, and its journal was damaged"};
  lost.spool_bytes = runner::kAllThatIsThere;
  lost.started = lost.ended = now.wall;
  return lost;
}

// Restores the job of an attempt that only the runner knows, from the Assign in its blob. nullptr: the blob cannot be
// read, and the runner forgets the attempt.
HeldJob* Recall(AgentState& state, AgentOutbox& out, const runner::Attempt& attempt) {
  Result<std::pair<Assign, std::uint32_t>> read = ReadBlob(attempt.blob);
  if (!read || read->first.attempt != attempt.ref) {  // The blob's version is unknown.
    if (attempt.running) out.runner.emplace_back(runner::Kill{attempt.ref, "its description cannot be read", 0});
    out.runner.emplace_back(runner::Forget{attempt.ref});
    return nullptr;
  }
  HeldJob job;
  job.assign = std::make_shared<const Assign>(std::move(read->first));
  job.slot = read->second;
  state.slots_made = std::max(state.slots_made, job.slot + 1);
  HeldJob& recalled = state.jobs.emplace(attempt.ref, std::move(job)).first->second;
  if (attempt.held_for) {
    HoldBehind(state, recalled, *attempt.held_for);
    return &recalled;
  }
  OccupyDevices(state, recalled);
  recalled.stage = Stage::kRunning;
  recalled.shown = true;
  recalled.report.started = attempt.started;
  out.uploads.emplace_back(FollowOf(state, recalled, /*resumed=*/true));
  return &recalled;
}

}  // namespace

Status On(AgentState& state, AgentOutbox& out, Now now, const Assign& message) {
  const AttemptRef ref = message.attempt;
  if (state.jobs.contains(ref) || state.done.contains(ref)) return {};
  if (state.lease_until && now.mono >= *state.lease_until)
    return Fail(Errc::kRejected, "an Assign while the lease is out");
  HeldJob job;
  job.assign = std::make_shared<const Assign>(message);
  job.slot = TakeSlot(state);
  if (state.stopping) {  // The Assign crossed the stop: an immediate report lets the controller assign it elsewhere.
    job.stage = Stage::kWaiting;
    state.waiting.push_back(ref);
    EndJob(state, out, now, state.jobs.emplace(ref, std::move(job)).first->second, OutcomeKind::kLost, kStopped);
    return {};
  }
  if (message.trees.empty()) {  // There is nothing to fetch, and the runner makes the folder.
    job.stage = Stage::kWaiting;
    state.waiting.push_back(ref);
  } else {
    out.workspace.emplace_back(Prepare{ref, WorkspaceOf(state.settings, job.slot), message.trees});
  }
  state.jobs.emplace(ref, std::move(job));
  StartWaiting(state, out, now);
  return {};
}

void On(AgentState& state, AgentOutbox& out, Now now, const WorkspaceEvent& event) {
  const AttemptRef ref = std::visit([](const auto& one) { return one.attempt; }, event);
  const auto it = state.jobs.find(ref);
  if (it == state.jobs.end() || it->second.stage != Stage::kPreparing) return;
  HeldJob& job = it->second;
  if (const auto* failed = std::get_if<PrepareFailed>(&event)) {
    const OutcomeKind kind = failed->permanent ? OutcomeKind::kStartFailed : OutcomeKind::kInputFailed;
    job.report.outcome = {kind, 0, 0, failed->message};
    JudgeDisk(state, out, now, job, job.report.outcome);
    CollectOutputs(state, out, now, job, 0, /*ran=*/false);
    return;
  }
  job.stage = Stage::kWaiting;
  state.waiting.push_back(ref);
  StartWaiting(state, out, now);
}

void On(AgentState& state, AgentOutbox&, Now now, const runner::Started& event) {
  const auto it = state.jobs.find(event.ref);
  if (it == state.jobs.end()) return;
  HeldJob& job = it->second;
  if (job.stage == Stage::kHeld) OccupyDevices(state, job);
  if (job.stage != Stage::kStarting) return;
  job.stage = Stage::kRunning;
  job.started = now.mono;
  job.report.started = event.at;
  state.just_started.emplace_back(now.mono + kShowDelay, event.ref);
}

void On(AgentState& state, AgentOutbox& out, Now now, const runner::Exited& event) {
  const auto it = state.jobs.find(event.ref);
  if (it == state.jobs.end() || !it->second.InRunner()) return;
  TakeExit(state, out, now, it->second, event);
  StartWaiting(state, out, now);
}

void OnStartRefused(AgentState& state, AgentOutbox& out, Now now, AttemptRef ref, const std::string& why) {
  const auto it = state.jobs.find(ref);
  if (it == state.jobs.end() || !it->second.InRunner()) return;
  it->second.report.outcome = {OutcomeKind::kStartFailed, 0, 0, why};
  CollectOutputs(state, out, now, it->second, 0, /*ran=*/false);
  StartWaiting(state, out, now);
}

void OnUnreadableAssign(AgentState& state, AgentOutbox& out, Now now, SessionId session, AttemptRef attempt,
                        const std::string& why) {
  if (!state.session || state.session->id != session) return;
  if (state.jobs.contains(attempt) || state.done.contains(attempt)) return;
  auto assign = std::make_shared<Assign>();
  assign->session = session;
  assign->attempt = attempt;
  assign->spec = std::make_shared<const JobSpec>();
  HeldJob job;
  job.assign = std::move(assign);
  job.slot = TakeSlot(state);
  job.stage = Stage::kWaiting;
  HeldJob& held = state.jobs.emplace(attempt, std::move(job)).first->second;
  EndJob(state, out, now, held, OutcomeKind::kStartFailed,
         "this agent (" + state.settings.software + ") cannot read the assignment: " + why);
}

void OnRunnerGone(AgentState& state) {
  state.runner_ready = false;
}

void On(AgentState& state, AgentOutbox& out, Now now, const runner::Listing& listing) {
  std::set<AttemptRef> listed;
  std::vector<runner::Attempt> attempts = listing.attempts;  // Held attempts come after those that they wait for.
  std::stable_partition(attempts.begin(), attempts.end(), [](const auto& attempt) { return !attempt.held_for; });
  for (const runner::Attempt& attempt : attempts) {
    listed.insert(attempt.ref);
    const auto known = state.jobs.find(attempt.ref);
    HeldJob* job = known != state.jobs.end() ? &known->second : nullptr;
    if (job == nullptr) {
      // Only the first Listing brings attempts of an earlier process of the agent. An unknown attempt of a later
      // Listing is a forgotten one whose Forget was lost: its slot may belong to another job by now.
      if (state.runner_known) {
        if (attempt.running) out.runner.emplace_back(runner::Kill{attempt.ref, "forgotten by its agent", 0});
        out.runner.emplace_back(runner::Forget{attempt.ref});
        continue;
      }
      job = Recall(state, out, attempt);
      if (job == nullptr) continue;
    }
    if (!job->InRunner()) continue;
    if (!attempt.running) {
      TakeExit(state, out, now, *job, attempt.exited);
      continue;
    }
    if (!attempt.held_for)
      On(state, out, now, runner::Started{attempt.ref, 0, attempt.started});
    else if (job->OccupiesDevices())  // The Start that releases the held job was lost.
      out.runner.emplace_back(MakeStart(state, *job));
    if (job->killing) EndJob(state, out, now, *job, OutcomeKind::kKilled, "cancelled");
  }
  std::vector<AttemptRef> unheard;
  for (const auto& [ref, job] : state.jobs)
    if (job.InRunner() && !listed.contains(ref)) unheard.push_back(ref);
  for (const AttemptRef& ref : unheard) {
    HeldJob& job = state.jobs.at(ref);
    // What the runner's table lost may have run, and is not run a second time in the same workspace.
    if (job.stage == Stage::kRunning || listing.incomplete) {
      TakeExit(state, out, now, job, Unlisted(ref, now));
      continue;
    }
    // The runner died before it recorded the Start of this attempt: none of its processes ever ran.
    FreeDevices(state, job);
    job.stage = Stage::kWaiting;
    state.waiting.push_back(ref);
    if (!job.killing) continue;
    const bool lost = job.lease_lost;
    EndJob(state, out, now, job, lost ? OutcomeKind::kLost : OutcomeKind::kKilled, lost ? kLeaseOut : "cancelled");
  }
  state.runner_ready = state.runner_known = true;
  // A new runner lacks the lease.
  if (state.lease_until && now.mono < *state.lease_until) out.lease_until = state.lease_until;
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
      CollectOutputs(state, out, now, job, 0, /*ran=*/false);
      return;
    case Stage::kHeld:
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

Status On(AgentState& state, AgentOutbox& out, Now now, const Kill& message) {
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

}  // namespace furrow
