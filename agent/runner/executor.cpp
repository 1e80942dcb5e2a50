#include "agent/runner/executor.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>

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

// An agent that says nothing of the lease's last moment grants this time after the lease.
constexpr Duration kLeaseGrace = std::chrono::seconds(10);
constexpr char kLeaseOver[] = "the lease ran out: the controller was not heard";
constexpr char kKeeperKilled[] =
    "the job's parent process (furrow-keeper) was killed, and the job with it: by the job itself (`kill -9 $PPID`), by "
    "somebody on this machine, or for want of memory";

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

Executor::Executor(Table& table, Journal& journal, Keepers& keepers)
    : table_(table), journal_(journal), keepers_(keepers), mark_(StateMark()), boot_(BootIdentity()) {}

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
  if (jobs_.empty() && !lease_) keepers_.SetLeaseEnd(0);  // The lease that has run out was of other jobs.
  if (const std::string wrong = Valid(start); !wrong.empty()) return Refuse(now, ref, wrong);

  Entry& entry = table_[ref];
  entry.ref = ref;
  entry.started = now.wall;
  entry.boot = boot_;
  // The random part is this attempt's alone: a job that knows its own token cannot make up another's.
  entry.token =
      std::to_string(Raw(ref.job)) + "-" + std::to_string(Raw(ref.epoch)) + "-" + mark_ + "-" + Uuid::Random().ToHex();
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
  if (kill_jobs) EndAll(now, OutcomeKind::kKilled, reason, Duration::max());
}

void Executor::OnLease(const Lease& lease) {
  lease_ = TimePoint{Duration{static_cast<std::int64_t>(lease.until_ns)}};
  lease_kill_ = std::max(*lease_ + kLeaseGrace, TimePoint{});
  if (lease.kill_ns != 0) lease_kill_ = TimePoint{Duration{static_cast<std::int64_t>(lease.kill_ns)}};
  keepers_.SetLeaseEnd(static_cast<std::uint64_t>(lease_kill_.since_start.count()));
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

void Executor::EndAll(Now now, OutcomeKind kind, const std::string& reason, Duration most) {
  std::vector<AttemptRef> refs;
  for (const auto& [ref, job] : jobs_) refs.push_back(ref);
  for (const AttemptRef& ref : refs) {
    Job& job = jobs_.at(ref);
    End(now, ref, job, {kind, 0, reason}, "killed: " + reason, std::min(Ms(job.start.kill_grace_ms), most));
  }
}

void Executor::OnKeepers(Now now) {
  for (const KeeperEvent& event : keepers_.Take()) {
    const auto it = jobs_.find(event.ref);
    if (it == jobs_.end()) continue;
    const AttemptRef ref = it->first;  // A job that ends takes its key along.
    Job& job = it->second;
    if (event.lease_out && job.phase < Phase::kSettling)
      End(now, ref, job, {OutcomeKind::kLost, 0, kLeaseOver}, std::string("killed: ") + kLeaseOver, Duration{0});
    switch (event.kind) {
      case KeeperEvent::Kind::kSpawned: OnSpawned(now, ref, job, event.leader); break;
      case KeeperEvent::Kind::kNotBegun:
        job.leader = 0;
        if (job.phase == Phase::kRunning)
          FailStart(now, ref, job, event.error.message);
        else
          FinishIfDead(now, ref);
        break;
      case KeeperEvent::Kind::kOver: OnStepOver(now, ref, job, event); break;
      case KeeperEvent::Kind::kDied: OnKeeperDied(now, ref, job, event.status); break;
      case KeeperEvent::Kind::kAlone: FinishIfDead(now, ref); break;
    }
  }
}

void Executor::OnSpawned(Now now, const AttemptRef& ref, Job& job, const Leader& leader) {
  Entry& entry = table_.at(ref);
  job.leader = leader.pid;
  entry.leaders.push_back(leader);
  journal_.AddSpawned(ref, leader);
  if (entry.leaders.size() == 1) events_.push_back(Started{ref, leader.pid, entry.started});
  if (job.phase == Phase::kTerminating) keepers_.TerminateAll(ref);  // The order to end it came before the process.
  if (job.phase == Phase::kKilling) KillAll(now, ref, job);
}

void Executor::OnStepOver(Now now, const AttemptRef& ref, Job& job, const KeeperEvent& event) {
  job.leader = 0;
  job.max_rss_bytes = std::max(job.max_rss_bytes, event.max_rss_bytes);
  job.cpu_us += event.cpu_us;
  if (job.phase == Phase::kRunning) {
    const bool passed = WIFEXITED(event.status) && WEXITSTATUS(event.status) == 0;
    if (passed && job.step + 1 < job.start.steps.size()) {
      ++job.step;
      job.phase = Phase::kDue;
      due_.push_back(ref);
      return;
    }
    job.outcome = WIFEXITED(event.status) ? Outcome{OutcomeKind::kExited, WEXITSTATUS(event.status), ""}
                                          : Outcome{OutcomeKind::kSignaled, WTERMSIG(event.status), ""};
    job.phase = Phase::kSettling;
  }
  FinishIfDead(now, ref);
}

void Executor::OnKeeperDied(Now now, const AttemptRef& ref, Job& job, int status) {
  job.leader = 0;
  if (job.phase < Phase::kSettling) {
    const int number = WIFSIGNALED(status) ? WTERMSIG(status) : SIGKILL;
    job.outcome = {OutcomeKind::kSignaled, number, kKeeperKilled};
    job.last_words = kKeeperKilled;
  }
  KillAll(now, ref, job);
}

void Executor::Commit(Now now) {
  const Status written = journal_.Flush();
  const std::vector<AttemptRef> accepted = std::exchange(uncommitted_, {});
  if (!written) {
    Log(written.error().message);
    for (const AttemptRef& ref : accepted) {
      if (const auto job = jobs_.find(ref); job != jobs_.end()) {
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
  FinishIfDead(now, ref);
}

Status Executor::SpawnStep(Now now, const AttemptRef& ref, Job& job) {
  Entry& entry = table_.at(ref);
  const bool first = job.step == 0;
  if (first) {
    entry.started = now.wall;
    job.began = now.mono;
    job.oom_kills = oom_.Read(now.mono, /*fresh=*/false);
    if (job.start.timeout_ms > 0) job.timeout = now.mono + Ms(job.start.timeout_ms);
    if (job.start.log_quota_bytes > 0) job.quota_check = now.mono + kQuotaSoonest;
    FURROW_TRY(MakeFolder(job.start.workspace));
    FURROW_ASSIGN(job.spool, OpenSpool(job.start.spool));
    FURROW_ASSIGN(job.output, outputs_.Open(job.spool));
  }
  // A program of the step before may have set O_NONBLOCK (node, ssh), which all who share the pipe inherit: they would
  // lose what finds it full.
  ::fcntl(job.output->pipe(), F_SETFL, O_WRONLY);
  FURROW_TRY(
      keepers_.Spawn(ref, job.start.steps[job.step].argv, job.start.env, job.start.workspace, job.output->pipe()));
  job.leader = kUnborn;
  job.phase = Phase::kRunning;
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
    EndAll(now, OutcomeKind::kLost, kLeaseOver, std::max(lease_kill_ - now.mono, Duration{0}));
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
