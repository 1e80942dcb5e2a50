// Ends an attempt: sends SIGTERM to its processes, then SIGKILL until none is left, and reports Exited once.
#include <unistd.h>

#include <algorithm>
#include <chrono>

#include "agent/runner/executor.h"
#include "agent/runner/spool.h"

namespace furrow::runner {
namespace {

using std::chrono::milliseconds;

// A process that a finished step has left behind may be about to end: `tee` behind `exec > >(tee log)` has yet to write
// its last lines.
constexpr Duration kSettle = milliseconds(250);
// A process that was left behind gets a shorter grace than a job.
constexpr Duration kLeftBehindGrace = std::chrono::seconds(2);
constexpr std::size_t kTailBytes = 4096;     // of the output, where a shell says what it did not find
constexpr int kSignalBase = 128;             // A shell says 128 + n of a program that signal n has ended.
constexpr std::size_t kMaxTextBytes = 8192;  // An outcome's text is cut here: a reason may be as long as a frame.
constexpr Duration kTerminateFirst = milliseconds(10);
constexpr Duration kTerminateLast = std::chrono::seconds(1);  // Nothing stays so long between fork and exec.
// When all who got SIGTERM have ended, this is what remains for what they have started meanwhile: to save something, or
// by chance, as a loop does whose shell heard the signal a moment later.
constexpr Duration kOrphanGrace = std::chrono::seconds(10);
constexpr Duration kKillFirst = milliseconds(5);
constexpr Duration kKillLast = milliseconds(500);

}  // namespace

void Executor::End(Now now, const AttemptRef& ref, Job& job, Outcome outcome, std::string last_words, Duration grace) {
  if (job.phase == Phase::kKilling) return;
  if (job.phase == Phase::kSettling ||
      job.phase == Phase::kTerminating) {  // Such a job has its outcome; only its end may come sooner.
    if (grace <= Duration{0}) return KillAll(now, ref, job);
    if (job.phase == Phase::kSettling) return Terminate(now, ref, job, grace);
    job.grace_end = std::min(job.grace_end, now.mono + grace);
    job.deadline = std::min(*job.deadline, job.grace_end);
    return;
  }
  const bool untouched = job.spool < 0;
  job.outcome = std::move(outcome);
  job.last_words = std::move(last_words);
  if (untouched) return Finish(now, ref);  // No process was started yet.
  if (grace <= Duration{0}) return KillAll(now, ref, job);
  Terminate(now, ref, job, grace);
}

void Executor::Escalate(Now now, const AttemptRef& ref, Job& job) {
  const Duration grace = std::min<Duration>(kLeftBehindGrace, milliseconds(job.start.kill_grace_ms));
  if (job.phase == Phase::kSettling && grace > Duration{0}) return Terminate(now, ref, job, grace);
  if (job.phase != Phase::kTerminating || now.mono >= job.grace_end) return KillAll(now, ref, job);
  if (job.sweep_interval < kTerminateLast) keepers_.TerminateLate(ref);
  if (job.leader != kUnborn && !keepers_.TerminatedLive(ref))
    job.grace_end = std::min(job.grace_end, now.mono + kOrphanGrace);
  job.sweep_interval = std::min(job.sweep_interval * 2, kTerminateLast);
  job.deadline = std::min(now.mono + job.sweep_interval, job.grace_end);
}

void Executor::Terminate(Now now, const AttemptRef& ref, Job& job, Duration grace) {
  job.phase = Phase::kTerminating;
  job.grace_end = now.mono + grace;
  job.sweep_interval = kTerminateFirst;
  job.deadline = std::min(now.mono + job.sweep_interval, job.grace_end);
  // A process whose start is not reported yet may be there already: it gets its SIGTERM when it is, and gets one only.
  if (job.leader != kUnborn) keepers_.TerminateAll(ref);
  FinishIfDead(now, ref);
}

void Executor::KillAll(Now now, const AttemptRef& ref, Job& job) {
  // A process that forks faster than a sweep may escape one sweep but not many: every process of a sweep is killed.
  job.sweep_interval = job.phase == Phase::kKilling ? std::min(job.sweep_interval * 2, kKillLast) : kKillFirst;
  job.phase = Phase::kKilling;
  job.deadline = now.mono + job.sweep_interval;
  keepers_.KillAll(ref);
  FinishIfDead(now, ref);
}

void Executor::FinishIfDead(Now now, const AttemptRef& ref) {
  const auto it = jobs_.find(ref);
  if (it == jobs_.end() || it->second.leader != 0) return;
  Job& job = it->second;
  if (keepers_.Alone(ref)) return Finish(now, ref);
  if (job.phase == Phase::kSettling && !job.deadline) job.deadline = now.mono + kSettle;
}

// Adds to an exit status, or a signal, what it means and what to do about it.
void Executor::Explain(Now now, Job& job) {
  const bool exited = job.outcome.kind == OutcomeKind::kExited && job.outcome.code != 0;
  if ((!exited && job.outcome.kind != OutcomeKind::kSignaled) || !job.outcome.text.empty()) return;
  const std::string tail = SpoolTail(job.start.spool, kTailBytes);
  const std::uint64_t kills = oom_.Read(now.mono, /*fresh=*/true);
  job.outcome.text = EndInWords(
      {job.outcome, tail, job.start.workspace, kills > job.oom_kills ? kills - job.oom_kills : 0, job.max_rss_bytes});
  if (job.outcome.text.empty()) return;
  const int status = exited ? job.outcome.code : kSignalBase + job.outcome.code;
  job.last_words = "exit status " + std::to_string(status) + ": " + job.outcome.text;
}

void Executor::Finish(Now now, const AttemptRef& ref) {
  const auto it = jobs_.find(ref);
  Job& job = it->second;
  if (const Status whole = job.output ? outputs_.Close(*job.output) : Status(); !whole) {
    // A log with a hole never passes for whole, and the fault is not the job's.
    job.last_words = "the output could not be kept: " + whole.error().message;
    job.outcome = {OutcomeKind::kLost, 0, job.last_words};
  } else {
    Explain(now, job);
  }
  const std::uint64_t quota = job.start.log_quota_bytes;
  if (quota > 0 && job.spool >= 0 && CutSpool(job.spool, quota)) {  // The quota counts for every outcome.
    job.last_words = "the log quota of " + std::to_string(quota) +
                     " bytes was exceeded; the job was killed and its output cut there. Print less, or raise the quota";
    job.outcome = {OutcomeKind::kLogQuota, 0, job.last_words};
  }
  if (!job.last_words.empty()) AppendFurrowLine(job.start.spool, job.last_words);

  Entry& entry = table_.at(ref);
  Exited& exited = entry.exited;
  exited.ref = ref;
  exited.step = static_cast<std::uint32_t>(job.step);
  exited.outcome = std::move(job.outcome);
  if (exited.outcome.text.size() > kMaxTextBytes) exited.outcome.text.resize(kMaxTextBytes);
  exited.spool_bytes = job.spool >= 0 && job.last_words.empty() ? SpoolBytes(job.spool) : SpoolBytes(job.start.spool);
  exited.started = entry.started;
  exited.ended = now.wall;
  if (job.spool >= 0)  // A job without a spool was held or never came to its first step.
    exited.elapsed_ms =
        static_cast<std::uint64_t>(std::chrono::duration_cast<milliseconds>(now.mono - job.began).count());
  exited.max_rss_bytes = job.max_rss_bytes;
  exited.cpu_us = job.cpu_us;
  entry.running = false;
  entry.leaders.clear();
  journal_.AddExited(exited);
  events_.push_back(exited);
  if (job.spool >= 0) ::close(job.spool);
  keepers_.Release(ref);
  const AttemptRef over = ref;  // `ref` may refer to the key that erase destroys.
  jobs_.erase(it);
  ReleaseHeirs(over);
}

void Executor::Refuse(Now now, const AttemptRef& ref, const std::string& why) {
  Exited exited;
  exited.ref = ref;
  exited.outcome = {OutcomeKind::kStartFailed, 0, why};
  exited.started = exited.ended = now.wall;
  events_.push_back(std::move(exited));
}

}  // namespace furrow::runner
