#include "controller/cli/follower.h"

#include <algorithm>
#include <unordered_set>

namespace furrow::cli {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::size_t kMostStreams = 32;
constexpr auto kConnectPatience = std::chrono::seconds(3);  // before the run is known
constexpr auto kAwayPatience = std::chrono::minutes(10);    // afterwards; as long as agents go on without it
constexpr auto kSayAway = std::chrono::seconds(1);
constexpr auto kSilence = std::chrono::seconds(5);  // after that an update may have been lost
constexpr auto kReadAgain = milliseconds(200);
constexpr int kMostTries = 50;

// Whether an attempt of this job has a log to read.
bool HasLog(const JobView& job) {
  if (Raw(job.log_attempt.epoch) == 0 || job.state < JobState::kRunning) return false;
  const bool silent =
      IsTerminal(job.state) && job.log_length == 0 && job.outcome && job.outcome->kind != OutcomeKind::kLost;
  return !silent;
}

}  // namespace

Follower::Follower(FarmClient& farm, FollowOptions options, Handlers handlers)
    : farm_(farm),
      options_(std::move(options)),
      handlers_(std::move(handlers)),
      streams_(farm,
               {[this](std::uint64_t name, std::string_view bytes) { OnBytes(name, bytes); },
                [this](std::uint64_t name, std::uint64_t end, const Status& status) { OnEnd(name, end, status); }}),
      start_(Clock::now()) {
  generation_ = farm_.control_generation();
  Watch();
}

void Follower::Watch() {
  Selector run = options_.what;
  if (known_) run.number = run_.number;  // "the newest" may be another one by now
  run.job.clear();
  run.shard.reset();
  watch_ = farm_.Send(furrow::Watch{std::move(run)});
  heard_ = Clock::now();
}

void Follower::LookOnce() {
  Selector run{run_.pipeline, run_.number, "", {}};
  look_ = farm_.Send(ShowRun{std::move(run), 0, 1});
  heard_ = Clock::now();
}

void Follower::Cancel(const std::string& reason) {
  cancelling_ = true;
  cancel_reason_ = reason;
  Selector what = options_.what;
  if (known_) what.number = run_.number;
  static_cast<void>(farm_.Send(furrow::Cancel{std::move(what), reason}));
}

Result<bool> Follower::Turn() {
  while (auto reply = farm_.Receive()) FURROW_TRY(OnReply(reply->first, reply->second));
  if (const std::uint64_t now = farm_.control_generation(); now != generation_) {
    if (generation_ != 0) {  // what was asked before the first connection arrives with it
      Watch();
      if (cancelling_) Cancel(cancel_reason_);
    }
    generation_ = now;
  }
  if (options_.logs != FollowLogs::kNone) streams_.Turn();
  if (!ended_ && known_ && Clock::now() - heard_ > kSilence && farm_.AwayFor() == milliseconds(0)) LookOnce();
  if (options_.logs == FollowLogs::kWhole) OpenQueued();
  if (options_.logs == FollowLogs::kNewest) FollowNewest();
  if (Done()) return false;
  return Away();
}

Result<bool> Follower::Away() {
  const milliseconds away = farm_.AwayFor();
  const milliseconds patience = known_ ? milliseconds(kAwayPatience) : milliseconds(kConnectPatience);
  if (away > patience || (away > kSayAway && farm_.Refused())) return tl::unexpected(farm_.Away());
  if (known_ && (away > kSayAway) != away_ && (away > kSayAway || away == milliseconds(0))) {
    away_ = !away_;
    if (handlers_.on_away) handlers_.on_away(away_);
  }
  return true;
}

milliseconds Follower::Idle() const {
  return unfinished_ > 0 ? kReadAgain : milliseconds(500);
}

Status Follower::OnReply(std::uint64_t number, ClientReply& reply) {
  if (number == watch_) {
    if (const auto* failure = std::get_if<Failure>(&reply)) return tl::unexpected(ErrorOf(*failure));
    if (auto* update = std::get_if<RunUpdate>(&reply)) OnUpdate(*update);
    if (!options_.what.job.empty() && known_ &&
        std::none_of(jobs_.begin(), jobs_.end(), [this](const JobView& job) { return Wanted(job); }))
      return Fail(Errc::kNotFound, "there is no job " + FormatSelector(options_.what) + "; see `furrow show " +
                                       FormatSelector({run_.pipeline, run_.number, "", {}}) + "`");
  } else if (number == look_) {
    const auto* detail = std::get_if<RunDetail>(&reply);
    RunSummary as_known = run_;
    if (detail != nullptr && !(detail->run == as_known)) Watch();
  }
  return {};
}

void Follower::OnUpdate(RunUpdate& update) {
  heard_ = Clock::now();
  run_ = std::move(update.run);
  // In order of start, so that logs are.
  std::stable_sort(update.jobs.begin(), update.jobs.end(), [&](const JobView& a, const JobView& b) {
    return known_ && a.started != b.started && a.started < b.started;
  });
  std::vector<std::size_t> fresh;
  for (JobView& job : update.jobs) Update(job);
  if (!known_) {
    for (std::size_t i = 0; i < jobs_.size(); ++i) fresh.push_back(i);
    std::stable_sort(fresh.begin(), fresh.end(),
                     [&](std::size_t a, std::size_t b) { return jobs_[a].started < jobs_[b].started; });
    for (const std::size_t place : fresh) {
      Queue(place);
      logs_[place].tail = options_.tail_lines != 0;
    }
  }
  known_ = true;
  ended_ = update.run_ended;
}

void Follower::Update(JobView& job) {
  const auto [found, is_new] = index_.try_emplace(Raw(job.id), jobs_.size());
  const std::size_t place = found->second;
  if (is_new) {
    jobs_.push_back(std::move(job));
    logs_.emplace_back();
    needs_.try_emplace(jobs_[place].job, jobs_[place].needs);
  } else if (jobs_[place] == job) {
    return;
  } else {
    jobs_[place] = std::move(job);
  }
  if (handlers_.on_job) handlers_.on_job(jobs_[place]);
  if (known_) Queue(place);
  if (logs_[place].step == Log::Step::kEnded) Check(place);
}

bool Follower::Wanted(const JobView& job) const {
  return (options_.what.job.empty() || options_.what.job == job.job) &&
         (!options_.what.shard || *options_.what.shard == job.shard);
}

// ---- logs --------------------------------------------------------------------------------------------------

void Follower::Queue(std::size_t place) {
  const JobView& job = jobs_[place];
  Log& log = logs_[place];
  if (options_.logs != FollowLogs::kWhole || !Wanted(job) || !HasLog(job)) return;
  if (job.log_run != run_.id && !options_.reused) return;
  const bool idle = log.step == Log::Step::kNone || log.step == Log::Step::kWhole;
  if (!idle || log.attempt == job.log_attempt) return;  // an older attempt is read to its end first
  log = Log{};
  log.step = Log::Step::kQueued;
  log.attempt = job.log_attempt;
  Unread(place, +1);
  queue_.push_back(place);
}

void Follower::Unread(std::size_t place, int change) {
  unfinished_ += change;
  std::size_t& count = unread_[jobs_[place].job];
  count += change;
  if (count > 0) return;
  queue_.insert(queue_.begin(), held_.begin(), held_.end());
  held_.clear();
}

// Whether a log of a job that this one needs, directly or through others, is not yet whole. (The order is not taken
// from times: they are those of the agents, whose clocks may disagree.)
bool Follower::MustWait(std::size_t place) const {
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

void Follower::OpenQueued() {
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

void Follower::Open(std::size_t place) {
  Log& log = logs_[place];
  log.step = Log::Step::kReading;
  const std::uint32_t tail = log.tail && !log.begun ? std::max(options_.tail_lines, 1u) : 0;
  streams_.Open(place, {jobs_[place].log_run, log.attempt, log.offset, tail, true});
}

void Follower::OnBytes(std::size_t place, std::string_view bytes) {
  logs_[place].begun = true;
  if (handlers_.on_log) handlers_.on_log(jobs_[place], bytes);
}

void Follower::OnEnd(std::size_t place, std::uint64_t end, const Status& status) {
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
void Follower::Check(std::size_t place) {
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

void Follower::FollowNewest() {
  std::optional<std::size_t> newest;
  for (std::size_t i = 0; i < jobs_.size(); ++i) {
    if (jobs_[i].state != JobState::kRunning || !Wanted(jobs_[i])) continue;
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

bool Follower::Done() const {
  if (!known_ || unfinished_ > 0) return false;
  if (ended_) return true;
  if (options_.what.job.empty()) return false;
  return std::all_of(jobs_.begin(), jobs_.end(),
                     [this](const JobView& job) { return !Wanted(job) || IsTerminal(job.state); });
}

}  // namespace furrow::cli
