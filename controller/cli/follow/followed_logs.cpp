#include "controller/cli/follow/followed_logs.h"
#include "common/wire/job_state.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace furrow::cli {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kMostStreams = 32;
constexpr auto kReadAgain = std::chrono::milliseconds(200);
constexpr int kMostTries = 50;

// Returns whether an attempt of this job has a log to read.
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
    : options_(std::move(options)), handlers_(std::move(handlers)), jobs_(jobs), streams_(farm) {}

void FollowedLogs::Begin(RunId run) {
  run_ = run;
  std::vector<std::size_t> indexes(jobs_.size());
  std::iota(indexes.begin(), indexes.end(), std::size_t{0});
  std::stable_sort(indexes.begin(), indexes.end(),
                   [&](std::size_t a, std::size_t b) { return jobs_[a].started < jobs_[b].started; });
  for (const std::size_t index : indexes) {
    OnJob(index);
    logs_[index].tail_lines = options_.tail_lines;
  }
}

// Takes in new jobs. Begin sees all jobs except those of a very large run.
void FollowedLogs::LearnJobs() {
  const std::size_t known = by_name_.size();
  for (std::size_t index = logs_.size(); index < jobs_.size(); ++index) {
    const auto [found, is_new] = by_name_.try_emplace(jobs_[index].job);
    if (is_new) found->second.number = by_name_.size() - 1;
    logs_.emplace_back().job = &found->second;
  }
  if (by_name_.size() == known) return;
  for (auto& [name, job] : by_name_) job.needs.clear();
  order_.clear();
  look_again_ = true;
  std::vector<std::vector<Job*>> needed_by(by_name_.size());
  std::vector<std::size_t> open(by_name_.size());  // the number of needs that are not in order_ yet
  for (std::size_t index = 0; index < jobs_.size(); ++index) {
    Job& job = *logs_[index].job;
    if (!job.needs.empty()) continue;  // Another shard has set the needs.
    for (const std::string& need : jobs_[index].needs) {
      const auto found = by_name_.find(need);
      if (found == by_name_.end()) continue;
      job.needs.push_back(&found->second);
      needed_by[found->second.number].push_back(&job);
    }
    open[job.number] = job.needs.size();
  }
  for (auto& [name, job] : by_name_)
    if (open[job.number] == 0) order_.push_back(&job);
  for (std::size_t i = 0; i < order_.size(); ++i)
    for (Job* next : needed_by[order_[i]->number])
      if (--open[next->number] == 0) order_.push_back(next);
}

void FollowedLogs::OnJob(std::size_t index) {
  if (!run_) return;
  if (logs_.size() < jobs_.size()) LearnJobs();
  Find(index);
  if (logs_[index].state == FollowedState::kPausing && AtEnd(index)) End(index);
}

void FollowedLogs::Turn() {
  if (options_.logs == FollowLogs::kNone) return;
  while (const auto news = streams_.Next()) {
    if (!news->bytes.empty()) OnBytes(news->name, news->bytes);
    if (news->ended) OnEnd(news->name, news->end, news->status);
  }
  if (options_.logs == FollowLogs::kWhole) OpenQueued();
  if (options_.logs == FollowLogs::kNewest) FollowNewest();
}

// Queues the log of a job's newest attempt, if that log is wanted and was not read.
void FollowedLogs::Find(std::size_t index) {
  const JobView& job = jobs_[index];
  Log& log = logs_[index];
  if (options_.logs != FollowLogs::kWhole || !Selects(options_.what, job) || !HasLog(job)) return;
  if (job.log_run != *run_ && !options_.reused) return;
  const bool idle = log.state == FollowedState::kNone || log.state == FollowedState::kWhole;
  if (!idle || log.attempt == job.log_attempt) return;  // An older attempt is read to its end first.
  log = Log{.job = log.job, .state = log.state, .attempt = job.log_attempt};
  Move(index, FollowedEvent::kFound);
  Unread(*log.job, +1);
  Queue(index);
}

void FollowedLogs::Queue(std::size_t index) {
  logs_[index].turn = ++last_turn_;
  queue_.emplace_hint(queue_.end(), last_turn_, index);
}

void FollowedLogs::Unread(Job& job, int change) {
  unfinished_ += change;
  const bool had = job.unread > 0;
  job.unread += change;
  look_again_ = look_again_ || had != (job.unread > 0);
}

// Decides which jobs wait. The order does not come from times, because the clocks of agents may disagree.
void FollowedLogs::LookWhoWaits() {
  for (Job* job : order_)
    job->waits = std::any_of(job->needs.begin(), job->needs.end(),
                             [](const Job* need) { return need->unread > 0 || need->waits; });
  for (std::size_t index = 0; index < logs_.size() && held_ > 0; ++index) {
    if (logs_[index].state != FollowedState::kHeld || logs_[index].job->waits) continue;
    Move(index, FollowedEvent::kRelease);
    --held_;
    queue_.emplace(logs_[index].turn, index);  // The log goes before those whose turn came later.
  }
}

void FollowedLogs::OpenQueued() {
  const auto now = Clock::now();
  if (std::exchange(look_again_, false)) LookWhoWaits();
  for (std::size_t left = queue_.size(); left > 0 && streams_.count() < kMostStreams; --left) {
    const std::size_t index = queue_.begin()->second;
    queue_.erase(queue_.begin());
    const Log& log = logs_[index];
    if (log.state == FollowedState::kQueued && log.job->waits) {
      Move(index, FollowedEvent::kHold);
      ++held_;
    } else if (log.again > now) {
      Queue(index);
    } else {
      Open(index);
    }
  }
}

void FollowedLogs::Open(std::size_t index) {
  Move(index, FollowedEvent::kOpen);
  const Log& log = logs_[index];
  streams_.Open(index, {jobs_[index].log_run, log.attempt, log.offset, log.tail_lines, true});
}

void FollowedLogs::OnBytes(std::size_t index, std::string_view bytes) {
  logs_[index].tail_lines = 0;
  if (handlers_.on_log) handlers_.on_log(jobs_[index], bytes);
}

void FollowedLogs::OnEnd(std::size_t index, std::uint64_t end, const Status& status) {
  if (options_.logs == FollowLogs::kNewest) return Move(index, FollowedEvent::kEnd);
  Log& log = logs_[index];
  log.offset = std::max(log.offset, end);
  if (!status && status.error().code != Errc::kNotFound && handlers_.on_log && log.tries == kMostTries)
    handlers_.on_log(jobs_[index], "\n[furrow: the rest of this log cannot be read: " + status.error().message + "]\n");
  if (AtEnd(index)) return End(index);
  Move(index, FollowedEvent::kCutShort);
  ++log.tries;
  log.again = Clock::now() + kReadAgain;
  Queue(index);
}

// Returns whether a log is at its end. A stream also ends where the controller was started again and does not know the
// attempt yet, so the log is whole only if the job says so. After too many tries it counts as whole.
bool FollowedLogs::AtEnd(std::size_t index) const {
  const Log& log = logs_[index];
  const JobView& job = jobs_[index];
  const bool superseded = job.log_attempt != log.attempt;
  return superseded || (IsTerminal(job.state) && log.offset >= job.log_length) || log.tries >= kMostTries;
}

void FollowedLogs::End(std::size_t index) {
  Log& log = logs_[index];
  if (log.state == FollowedState::kPausing) queue_.erase(log.turn);
  Move(index, FollowedEvent::kEnd);
  Unread(*log.job, -1);
  if (handlers_.on_log_end) handlers_.on_log_end(jobs_[index]);
  Find(index);
}

void FollowedLogs::FollowNewest() {
  std::optional<std::size_t> newest;
  for (std::size_t i = 0; i < jobs_.size(); ++i) {
    if (jobs_[i].state != JobState::kRunning || !Selects(options_.what, jobs_[i])) continue;
    if (!newest || jobs_[i].started >= jobs_[*newest].started) newest = i;
  }
  const bool same = newest == newest_ && (!newest || logs_[*newest].attempt == jobs_[*newest].log_attempt);
  if (same || (!newest && newest_)) return;  // The last job stays in view until another starts.
  if (newest_) {
    streams_.Close(*newest_);
    Move(*newest_, FollowedEvent::kLeave);
  }
  newest_ = newest;
  Log& log = logs_[*newest];
  log = Log{.job = log.job, .attempt = jobs_[*newest].log_attempt, .tail_lines = std::max(options_.tail_lines, 1u)};
  Move(*newest, FollowedEvent::kFound);
  Open(*newest);
}

}  // namespace furrow::cli
