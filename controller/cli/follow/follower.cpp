#include "controller/cli/follow/follower.h"
#include "common/wire/job_state.h"
#include "common/wire/selector.h"

#include <algorithm>

namespace furrow::cli {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr auto kConnectPatience = std::chrono::seconds(3);  // used until the run is known
constexpr auto kAwayPatience = std::chrono::minutes(10);    // used afterwards; agents run as long on their own
constexpr auto kSayAway = std::chrono::seconds(1);
constexpr auto kSilence = std::chrono::seconds(5);  // After so long an update may have been lost.
constexpr auto kReading = milliseconds(200);        // time until the next turn, while logs are read

}  // namespace

Follower::Follower(FarmClient& farm, FollowOptions options, Handlers handlers)
    : farm_(farm),
      options_(std::move(options)),
      handlers_(std::move(handlers)),
      logs_(farm, options_, {handlers_.on_log, handlers_.on_log_end}, jobs_) {
  generation_ = farm_.control_generation();
  Watch();
}

void Follower::Watch() {
  Selector run = options_.what;
  if (known_) run.number = run_.number;  // The newest run may be another one by now.
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
    if (generation_ != 0) {  // Requests before the first connection arrive with it.
      Watch();
      if (cancelling_) Cancel(cancel_reason_);
    }
    generation_ = now;
  }
  logs_.Turn();
  if (!ended_ && known_ && Clock::now() - heard_ > kSilence && farm_.AwayFor() == milliseconds(0)) LookOnce();
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
  return logs_.unfinished() > 0 ? kReading : milliseconds(500);
}

Status Follower::OnReply(std::uint64_t number, ClientReply& reply) {
  if (number == watch_) {
    if (const auto* failure = std::get_if<Failure>(&reply)) return tl::unexpected(ErrorOf(*failure));
    if (auto* update = std::get_if<RunUpdate>(&reply)) OnUpdate(*update);
    const bool whole = jobs_.size() >= run_.jobs.total;  // The first update may come in several messages.
    if (!options_.what.job.empty() && known_ && whole &&
        std::none_of(jobs_.begin(), jobs_.end(), [this](const JobView& job) { return Selects(options_.what, job); }))
      return Fail(Errc::kNotFound, "there is no job " + FormatSelector(options_.what) + "; see `furrow show " +
                                       FormatSelector({run_.pipeline, run_.number, "", {}}) + "`");
  } else if (number == look_) {
    const auto* detail = std::get_if<RunDetail>(&reply);
    RunSummary as_known = run_;
    if (detail != nullptr && !(detail->run == as_known)) Watch();
  } else if (const auto* failure = std::get_if<Failure>(&reply); failure != nullptr && number == 0) {
    return tl::unexpected(ErrorOf(*failure));
  }
  return {};
}

void Follower::OnUpdate(RunUpdate& update) {
  heard_ = Clock::now();
  run_ = std::move(update.run);
  // Jobs are sorted by start, so that their logs are, too.
  std::stable_sort(update.jobs.begin(), update.jobs.end(), [&](const JobView& a, const JobView& b) {
    return known_ && a.started != b.started && a.started < b.started;
  });
  for (JobView& job : update.jobs) Update(job);
  if (!known_) logs_.Begin(run_.id);
  known_ = true;
  ended_ = update.run_ended;
}

void Follower::Update(JobView& job) {
  const auto [found, is_new] = index_.try_emplace(Raw(job.id), jobs_.size());
  const std::size_t index = found->second;
  if (is_new) {
    jobs_.push_back(std::move(job));
  } else if (jobs_[index] == job) {
    return;
  } else {
    jobs_[index] = std::move(job);
  }
  if (handlers_.on_job) handlers_.on_job(jobs_[index]);
  logs_.OnJob(index);
}

bool Follower::Done() const {
  if (!known_ || logs_.unfinished() > 0) return false;
  if (ended_) return true;
  if (options_.what.job.empty()) return false;
  return std::all_of(jobs_.begin(), jobs_.end(),
                     [this](const JobView& job) { return !Selects(options_.what, job) || IsTerminal(job.state); });
}

}  // namespace furrow::cli
