#include "controller/cli/followed_logs.h"

#include <algorithm>
#include <numeric>
#include <unordered_set>

namespace furrow::cli {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kMostStreams = 32;
constexpr auto kReadAgain = std::chrono::milliseconds(200);
constexpr int kMostTries = 50;

// Whether an attempt of this job has a log to read.
bool HasLog(const JobView& job) {
  if (Raw(job.log_attempt.epoch) == 0 || job.state < JobState::kRunning) return false;
  const bool silent =
      IsTerminal(job.state) && job.log_length == 0 && job.outcome && job.outcome->kind != OutcomeKind::kLost;
  return !silent;
}

}  // namespace

bool Selects(const Selector& what, const JobView& job) {
  return (what.job.empty() || what.job == job.job) && (!what.shard || *what.shard == job.shard);
}

FollowedLogs::FollowedLogs(FarmClient& farm, FollowOptions options, Handlers handlers, const std::vector<JobView>& jobs)
    : options_(std::move(options)),
      handlers_(std::move(handlers)),
      jobs_(jobs),
      streams_(farm,
               {[this](std::uint64_t name, std::string_view bytes) { OnBytes(name, bytes); },
                [this](std::uint64_t name, std::uint64_t end, const Status& status) { OnEnd(name, end, status); }}) {}

void FollowedLogs::Begin(RunId run) {
  run_ = run;
  std::vector<std::size_t> places(jobs_.size());
  std::iota(places.begin(), places.end(), std::size_t{0});
  std::stable_sort(places.begin(), places.end(),
                   [&](std::size_t a, std::size_t b) { return jobs_[a].started < jobs_[b].started; });
  for (const std::size_t place : places) {
    OnJob(place);
    logs_[place].tail = options_.tail_lines != 0;
  }
}

void FollowedLogs::OnJob(std::size_t place) {
  if (logs_.size() < jobs_.size()) logs_.resize(jobs_.size());
  needs_.try_emplace(jobs_[place].job, jobs_[place].needs);
  if (run_) Queue(place);
  if (logs_[place].step == Log::Step::kEnded) Check(place);
}

void FollowedLogs::Turn() {
  if (options_.logs == FollowLogs::kNone) return;
  streams_.Turn();
  if (options_.logs == FollowLogs::kWhole) OpenQueued();
  if (options_.logs == FollowLogs::kNewest) FollowNewest();
}

void FollowedLogs::Queue(std::size_t place) {
  const JobView& job = jobs_[place];
  Log& log = logs_[place];
  if (options_.logs != FollowLogs::kWhole || !Selects(options_.what, job) || !HasLog(job)) return;
  if (job.log_run != *run_ && !options_.reused) return;
  const bool idle = log.step == Log::Step::kNone || log.step == Log::Step::kWhole;
  if (!idle || log.attempt == job.log_attempt) return;  // an older attempt is read to its end first
  log = Log{};
  log.step = Log::Step::kQueued;
  log.attempt = job.log_attempt;
  Unread(place, +1);
  queue_.push_back(place);
}

void FollowedLogs::Unread(std::size_t place, int change) {
  unfinished_ += change;
  std::size_t& count = unread_[jobs_[place].job];
  count += change;
  if (count > 0) return;
  queue_.insert(queue_.begin(), held_.begin(), held_.end());
  held_.clear();
}

// Whether a log of a job that this one needs, directly or through others, is not yet whole. (The order is not taken
// from times: they are those of the agents, whose clocks may disagree.)
bool FollowedLogs::MustWait(std::size_t place) const {
  std::vector<std::string_view> open{jobs_[place].job};
  std::unordered_set<std::string_view> seen;
  while (!open.empty()) {
    const auto found = needs_.find(std::string(open.back()));
    open.pop_back();
    if (found == needs_.end()) continue;
    for (const std::string& need : found->second) {
      if (!seen.insert(need).second) continue;
      const auto unread = unread_.find(need);
      if (unread != unread_.end() && unread->second > 0) return true;
      open.push_back(need);
    }
  }
  return false;
}

void FollowedLogs::OpenQueued() {
  const auto now = Clock::now();
  for (std::size_t left = queue_.size(); left > 0 && streams_.count() < kMostStreams; --left) {
    const std::size_t place = queue_.front();
    queue_.pop_front();
    if (logs_[place].step == Log::Step::kQueued && MustWait(place))
      held_.push_back(place);
    else if (logs_[place].again > now)
      queue_.push_back(place);
    else
      Open(place);
  }
}

void FollowedLogs::Open(std::size_t place) {
  Log& log = logs_[place];
  log.step = Log::Step::kReading;
  const std::uint32_t tail = log.tail && !log.begun ? std::max(options_.tail_lines, 1u) : 0;
  streams_.Open(place, {jobs_[place].log_run, log.attempt, log.offset, tail, true});
}

void FollowedLogs::OnBytes(std::size_t place, std::string_view bytes) {
  logs_[place].begun = true;
  if (handlers_.on_log) handlers_.on_log(jobs_[place], bytes);
}

void FollowedLogs::OnEnd(std::size_t place, std::uint64_t end, const Status& status) {
  Log& log = logs_[place];
  if (options_.logs == FollowLogs::kNewest) {
    log.step = Log::Step::kWhole;
    return;
  }
  log.offset = std::max(log.offset, end);
  log.step = Log::Step::kEnded;
  if (!status && status.error().code != Errc::kNotFound && handlers_.on_log && log.tries == kMostTries)
    handlers_.on_log(jobs_[place], "\n[furrow: the rest of this log cannot be read: " + status.error().message + "]\n");
  Check(place);
}

// A stream also ends where the controller was started again and does not yet know the attempt: the log is whole only if
// the job says so.
void FollowedLogs::Check(std::size_t place) {
  Log& log = logs_[place];
  const JobView& job = jobs_[place];
  const bool superseded = job.log_attempt != log.attempt;
  const bool whole = superseded || (IsTerminal(job.state) && log.offset >= job.log_length);
  if (!whole && log.tries < kMostTries) {
    if (log.step != Log::Step::kEnded) return;
    const bool queued = std::find(queue_.begin(), queue_.end(), place) != queue_.end();
    if (queued) return;
    ++log.tries;
    log.again = Clock::now() + kReadAgain;
    queue_.push_back(place);
    return;
  }
  std::erase(queue_, place);
  log.step = Log::Step::kWhole;
  Unread(place, -1);
  if (handlers_.on_log_end) handlers_.on_log_end(job);
  Queue(place);
}

void FollowedLogs::FollowNewest() {
  std::optional<std::size_t> newest;
  for (std::size_t i = 0; i < jobs_.size(); ++i) {
    if (jobs_[i].state != JobState::kRunning || !Selects(options_.what, jobs_[i])) continue;
    if (!newest || jobs_[i].started >= jobs_[*newest].started) newest = i;
  }
  const bool same = newest == newest_ && (!newest || logs_[*newest].attempt == jobs_[*newest].log_attempt);
  if (same || (!newest && newest_)) return;  // what ended last stays in view until another starts
  if (newest_) streams_.Close(*newest_);
  newest_ = newest;
  Log& log = logs_[*newest];
  log = Log{};
  log.attempt = jobs_[*newest].log_attempt;
  log.tail = true;
  Open(*newest);
}

}  // namespace furrow::cli
