#include "agent/runner/executor.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>

#include "agent/runner/folder.h"
#include "agent/runner/log.h"
#include "agent/runner/spool.h"
#include "common/base/check.h"

namespace furrow::runner {
namespace {

using std::chrono::milliseconds;

// The assumed greatest speed of a job's output decides when the runner looks at the spool again. The kernel copies
// memory to the page cache at a few GB/s at best; a faster job overshoots its quota, and its spool is cut all the same.
constexpr double kBytesPerSecond = 4e9;
constexpr Duration kQuotaSoonest = milliseconds(10);
constexpr Duration kQuotaLatest = milliseconds(500);

// Converts milliseconds, at most a year's: a wrong duration near the end of 64 bits must not wrap around.
Duration Ms(std::uint64_t ms) {
  return milliseconds(std::min<std::uint64_t>(ms, 366ull * 24 * 3600 * 1000));
}

std::string ForPeople(std::uint64_t ms) {
  const auto part = [](std::uint64_t n, const char* unit) { return std::to_string(n) + unit; };
  if (ms < 10'000 && ms % 1000 != 0) return part(ms, " ms");
  const std::uint64_t s = ms / 1000;
  if (s < 60) return part(s, " s");
  if (s < 3600) return part(s / 60, " min") + (s % 60 ? part(s % 60, " s").insert(0, " ") : "");
  return part(s / 3600, " h") + (s / 60 % 60 ? part(s / 60 % 60, " min").insert(0, " ") : "");
}

std::string Valid(const Start& start) {
  if (start.workspace.empty() || start.workspace[0] != '/') return "its workspace is no absolute path";
  if (start.spool.empty() || start.spool[0] != '/') return "its spool is no absolute path";
  if (start.steps.empty()) return "it has no steps";
  if (start.blob.size() > kMaxBlobBytes) return "its blob is larger than " + std::to_string(kMaxBlobBytes) + " bytes";
  return {};
}

}  // namespace

Executor::Executor(Table& table, Journal& journal)
    : table_(table), journal_(journal), token_base_(Uuid::Random().ToHex()), boot_(BootIdentity()) {}

Executor::~Executor() {
  for (const auto& [ref, job] : jobs_) {
    if (job.output) (void)outputs_.Close(*job.output);
    if (job.spool >= 0) ::close(job.spool);
  }
}

void Executor::OnStart(Now now, Start start) {
  const AttemptRef ref = start.ref;
  if (const auto it = table_.find(ref); it != table_.end()) {  // A repeated Start is answered with the present state.
    if (!it->second.running)
      events_.push_back(it->second.exited);
    else if (!it->second.leaders.empty())
      events_.push_back(Started{ref, it->second.leaders.front().pid, it->second.started});
    else if (!start.after)
      Release(ref);
    return;
  }
  if (shutting_down_) return Refuse(now, ref, "the runner is shutting down");
  if (const std::string wrong = Valid(start); !wrong.empty()) return Refuse(now, ref, wrong);

  Entry& entry = table_[ref];
  entry.ref = ref;
  entry.started = now.wall;
  entry.boot = boot_;
  entry.token = std::to_string(Raw(ref.job)) + "-" + std::to_string(Raw(ref.epoch)) + "-" + token_base_;
  entry.spool = start.spool;
  entry.blob = std::move(start.blob);
  start.blob.clear();
  journal_.AddStart(entry);
  uncommitted_.push_back(ref);

  Job& job = jobs_[ref];
  job.start = std::move(start);
  job.began = now.mono;
  std::vector<std::string>& env = job.start.env;
  std::erase_if(env, [](const std::string& item) { return item.starts_with("FURROW_TOKEN="); });
  env.push_back("FURROW_TOKEN=" + entry.token);
  if (!job.start.metrics.empty()) env.push_back("FURROW_METRICS=" + job.start.metrics);
  if (const auto& after = job.start.after; after && *after != ref && jobs_.contains(*after)) {
    job.phase = Phase::kHeld;
    successors_[*after].push_back(ref);
  } else {
    due_.push_back(ref);
  }
}

// Makes a held attempt due; nothing happens to an attempt in another phase.
void Executor::Release(const AttemptRef& ref) {
  const auto it = jobs_.find(ref);
  if (it == jobs_.end() || it->second.phase != Phase::kHeld) return;
  it->second.phase = Phase::kDue;
  due_.push_back(ref);
}

void Executor::ReleaseHeirs(const AttemptRef& ref) {
  const auto successors = successors_.extract(ref);
  if (successors.empty()) return;
  for (const AttemptRef& successor : successors.mapped()) Release(successor);
}

void Executor::OnKill(Now now, const Kill& kill) {
  const auto it = jobs_.find(kill.ref);
  if (it != jobs_.end())
    return End(now, kill.ref, it->second, {OutcomeKind::kKilled, 0, kill.reason}, "killed: " + kill.reason,
               Ms(kill.grace_ms));
  const auto known = table_.find(kill.ref);
  if (known != table_.end()) events_.push_back(known->second.exited);
}

void Executor::OnForget(const Forget& forget) {
  const auto it = table_.find(forget.ref);
  if (it == table_.end() || it->second.running) return;
  journal_.AddForgotten(forget.ref);
  table_.erase(it);
}

void Executor::OnShutdown(Now now, bool kill_jobs, const std::string& reason) {
  shutting_down_ = true;
  if (kill_jobs) EndAll(now, OutcomeKind::kKilled, reason);
}

void Executor::OnLease(const Lease& lease) {
  lease_ = TimePoint{Duration{static_cast<std::int64_t>(lease.until_ns)}};
}

void Executor::OnOutputs(Now now) {
  if (!outputs_.TakeFailed()) return;
  std::vector<AttemptRef> refs;
  for (const auto& [ref, job] : jobs_) refs.push_back(ref);
  for (const AttemptRef& ref : refs) {
    Job& job = jobs_.at(ref);
    if (!job.output) continue;
    if (const Status whole = Outputs::Failure(*job.output); !whole)
      End(now, ref, job, {OutcomeKind::kLost, 0, ""}, "", Ms(job.start.kill_grace_ms));  // Finish says why.
  }
}

void Executor::EndAll(Now now, OutcomeKind kind, const std::string& reason) {
  std::vector<AttemptRef> refs;
  for (const auto& [ref, job] : jobs_) refs.push_back(ref);
  for (const AttemptRef& ref : refs) {
    Job& job = jobs_.at(ref);
    End(now, ref, job, {kind, 0, reason}, "killed: " + reason, Ms(job.start.kill_grace_ms));
  }
}

void Executor::OnChildren(Now now) {
  struct Dead {
    AttemptRef ref;
    int status;
    rusage usage;
  };
  std::vector<Dead> dead;
  bool orphan_died = false;
  for (;;) {  // All dead children come first: a process that died with a job's last step does not count as left behind.
    int status = 0;
    rusage usage{};
    const pid_t pid = ::wait4(-1, &status, WNOHANG, &usage);
    if (pid < 0 && errno == EINTR) continue;
    if (pid <= 0) break;
    if (const auto ref = owners_.OnReaped(pid))
      dead.push_back({*ref, status, usage});
    else
      orphan_died = true;
  }
  for (const Dead& one : dead) {
    const auto job = jobs_.find(one.ref);
    FURROW_CHECK(job != jobs_.end(), "a step of a job that is not running was reaped");
    OnLeaderExit(now, job, one.status, one.usage);
  }
  if (!orphan_died) return;
  std::vector<AttemptRef> ending;
  for (const auto& [ref, job] : jobs_) {
    if (job.phase >= Phase::kSettling) ending.push_back(ref);
  }
  for (const AttemptRef& ref : ending) FinishIfDead(now, ref);
}

void Executor::OnLeaderExit(Now now, Jobs::iterator it, int status, const rusage& usage) {
  const AttemptRef ref = it->first;
  Job& job = it->second;
  job.leader = 0;
  job.max_rss_bytes = std::max(job.max_rss_bytes, static_cast<std::uint64_t>(usage.ru_maxrss) * 1024);
  for (const timeval& time : {usage.ru_utime, usage.ru_stime})
    job.cpu_us += static_cast<std::uint64_t>(time.tv_sec) * 1'000'000 + static_cast<std::uint64_t>(time.tv_usec);
  if (job.phase == Phase::kRunning) {
    const bool passed = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (passed && job.step + 1 < job.start.steps.size()) {
      ++job.step;
      job.phase = Phase::kDue;
      due_.push_back(ref);
      return;
    }
    job.outcome = WIFEXITED(status) ? Outcome{OutcomeKind::kExited, WEXITSTATUS(status), ""}
                                    : Outcome{OutcomeKind::kSignaled, WTERMSIG(status), ""};
    job.phase = Phase::kSettling;
    owners_.SetEnding(ref);
  }
  FinishIfDead(now, ref);
}

void Executor::Commit(Now now) {
  const Status written = journal_.Flush();
  const std::vector<AttemptRef> accepted = std::exchange(uncommitted_, {});
  if (!written) {
    Log(written.error().message);
    for (const AttemptRef& ref : accepted) {
      if (const auto job = jobs_.find(ref); job != jobs_.end()) {
        owners_.RemoveJob(ref);
        jobs_.erase(job);
        ReleaseHeirs(ref);
        Refuse(now, ref, written.error().message);
      }
      table_.erase(ref);
    }
  }
  if (journal_.WantsRewrite()) {
    if (const Status status = journal_.Rewrite(table_); !status) Log(status.error().message);
  }
}

void Executor::Spawn(Now now) {
  std::vector<AttemptRef> later;
  while (!due_.empty()) {  // An attempt that cannot start makes its successors due.
    for (const AttemptRef& ref : std::exchange(due_, {})) {
      const auto it = jobs_.find(ref);
      if (it == jobs_.end() || it->second.phase != Phase::kDue) continue;  // The attempt was killed meanwhile.
      if (std::find(uncommitted_.begin(), uncommitted_.end(), ref) != uncommitted_.end())
        later.push_back(ref);
      else if (const Status spawned = SpawnStep(now, ref, it->second); !spawned)
        FailStart(now, ref, it->second, spawned.error().message);
    }
  }
  due_ = std::move(later);
}

void Executor::FailStart(Now now, const AttemptRef& ref, Job& job, const std::string& why) {
  const Step& step = job.start.steps[job.step];
  const std::string message =
      "step " + std::to_string(job.step + 1) + (step.name.empty() ? "" : " `" + step.name + "`") + ": " + why;
  job.outcome = {OutcomeKind::kStartFailed, 0, message};
  job.last_words = message;
  job.phase = Phase::kSettling;
  owners_.SetEnding(ref);
  FinishIfDead(now, ref);
}

Status Executor::SpawnStep(Now now, const AttemptRef& ref, Job& job) {
  Entry& entry = table_.at(ref);
  const bool first = job.step == 0;
  if (first) {
    entry.started = now.wall;
    job.began = now.mono;
    if (job.start.timeout_ms > 0) job.timeout = now.mono + Ms(job.start.timeout_ms);
    if (job.start.log_quota_bytes > 0) job.quota_check = now.mono + kQuotaSoonest;
    FURROW_TRY(MakeFolder(job.start.workspace));
    FURROW_ASSIGN(job.spool, OpenSpool(job.start.spool));
    FURROW_ASSIGN(job.output, outputs_.Open(job.spool));
    owners_.AddJob(ref, entry.token, job.start.workspace, job.output->name());
  }
  FURROW_ASSIGN(const Leader leader,
                spawner_.Spawn(job.start.steps[job.step].argv, job.start.env, job.start.workspace, job.output->pipe()));
  job.leader = leader.pid;
  job.phase = Phase::kRunning;
  owners_.AddLeader(ref, leader);
  entry.leaders.push_back(leader);
  journal_.AddSpawned(ref, leader);
  if (first) events_.push_back(Started{ref, leader.pid, now.wall});
  return {};
}

void Executor::CheckQuota(Now now, const AttemptRef& ref, Job& job) {
  const std::uint64_t quota = job.start.log_quota_bytes;
  const std::uint64_t size = SpoolBytes(job.spool);
  if (size > quota) {
    // The job is killed at once, since its output during a grace would fill the disk.
    job.quota_check.reset();
    return End(now, ref, job, {OutcomeKind::kLogQuota, 0, ""}, "", Duration{0});
  }
  const auto soonest = std::chrono::duration_cast<Duration>(
      std::chrono::duration<double>(static_cast<double>(quota - size) / kBytesPerSecond));
  // The interval doubles while the job writes nothing.
  job.quota_interval = size == job.spool_bytes ? job.quota_interval * 2 : soonest;
  job.quota_interval = std::clamp(job.quota_interval, kQuotaSoonest, kQuotaLatest);
  job.spool_bytes = size;
  job.quota_check = now.mono + job.quota_interval;
}

void Executor::OnTimers(Now now) {
  if (lease_ && *lease_ <= now.mono) {
    lease_.reset();
    EndAll(now, OutcomeKind::kLost, "the lease ran out: the controller was not heard");
  }
  std::vector<AttemptRef> refs;
  for (const auto& [ref, job] : jobs_) {
    for (const auto& at : {job.deadline, job.timeout, job.quota_check}) {
      if (at && *at <= now.mono) {
        refs.push_back(ref);
        break;
      }
    }
  }
  for (const AttemptRef& ref : refs) {
    Job& job = jobs_.at(ref);
    if (job.quota_check && *job.quota_check <= now.mono) CheckQuota(now, ref, job);
    if (!jobs_.contains(ref)) continue;
    if (job.timeout && *job.timeout <= now.mono) {
      const std::string message = "timed out after " + ForPeople(job.start.timeout_ms);
      job.timeout.reset();
      End(now, ref, job, {OutcomeKind::kTimedOut, 0, message}, message, Ms(job.start.kill_grace_ms));
    }
    if (!jobs_.contains(ref)) continue;
    if (job.deadline && *job.deadline <= now.mono) Escalate(now, ref, job);
  }
}

std::optional<TimePoint> Executor::NextDeadline() const {
  std::optional<TimePoint> next;
  if (!jobs_.empty()) next = lease_;
  for (const auto& [ref, job] : jobs_) {
    for (const auto& at : {job.deadline, job.timeout, job.quota_check}) {
      if (at && (!next || *at < *next)) next = at;
    }
  }
  return next;
}

std::vector<Attempt> Executor::List() const {
  std::vector<Attempt> attempts;
  for (const auto& [ref, entry] : table_) {
    const auto job = jobs_.find(ref);
    const bool held = job != jobs_.end() && job->second.phase == Phase::kHeld;
    attempts.push_back(
        {ref, entry.running, entry.started, entry.exited, entry.blob, held ? job->second.start.after : std::nullopt});
  }
  return attempts;
}

}  // namespace furrow::runner
