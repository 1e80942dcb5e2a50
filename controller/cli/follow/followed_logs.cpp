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

// Of jobs that are new; all but those of a very large run are there at the beginning.
void FollowedLogs::LearnNames() {
  const std::size_t known = numbers_.size();
  for (std::size_t place = name_of_.size(); place < jobs_.size(); ++place)
    name_of_.push_back(numbers_.try_emplace(jobs_[place].job, numbers_.size()).first->second);
  if (numbers_.size() == known) return;
  names_.resize(numbers_.size());
  for (Name& name : names_) name.needs.clear();
  order_.clear();
  look_again_ = true;
  std::vector<std::vector<std::size_t>> needed_by(names_.size());
  std::vector<std::size_t> open(names_.size());  // needs that are not in order_ yet
  for (std::size_t place = 0; place < jobs_.size(); ++place) {
    Name& name = names_[name_of_[place]];
    if (!name.needs.empty()) continue;  // of another shard
    for (const std::string& need : jobs_[place].needs) {
      const auto found = numbers_.find(need);
      if (found == numbers_.end()) continue;
      name.needs.push_back(found->second);
      needed_by[found->second].push_back(name_of_[place]);
    }
    open[name_of_[place]] = name.needs.size();
  }
  for (std::size_t number = 0; number < names_.size(); ++number)
    if (open[number] == 0) order_.push_back(number);
  for (std::size_t i = 0; i < order_.size(); ++i)
    for (const std::size_t next : needed_by[order_[i]])
      if (--open[next] == 0) order_.push_back(next);
}

void FollowedLogs::OnJob(std::size_t place) {
  if (logs_.size() < jobs_.size()) logs_.resize(jobs_.size());
  if (!run_) return;
  if (name_of_.size() < jobs_.size()) LearnNames();
  Queue(place);
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
  std::size_t& unread = names_[name_of_[place]].unread;
  const bool had = unread > 0;
  unread += change;
  look_again_ = look_again_ || had != (unread > 0);
}

// The order is not taken from times: they are those of the agents, whose clocks may disagree.
void FollowedLogs::LookWhoWaits() {
  for (const std::size_t number : order_) {
    Name& name = names_[number];
    name.waits = std::any_of(name.needs.begin(), name.needs.end(),
                             [this](std::size_t need) { return names_[need].unread > 0 || names_[need].waits; });
  }
  queue_.insert(queue_.begin(), held_.begin(), held_.end());
  held_.clear();
}

void FollowedLogs::OpenQueued() {
  const auto now = Clock::now();
  if (std::exchange(look_again_, false)) LookWhoWaits();
  for (std::size_t left = queue_.size(); left > 0 && streams_.count() < kMostStreams; --left) {
    const std::size_t place = queue_.front();
    queue_.pop_front();
    if (logs_[place].step == Log::Step::kQueued && names_[name_of_[place]].waits)
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
