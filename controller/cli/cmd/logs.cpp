#include <algorithm>
#include <optional>

#include "common/base/program.h"
#include "common/wire/job_state.h"
#include "common/wire/selector.h"
#include "controller/cli/cmd/commands.h"
#include "controller/cli/follow/follower.h"
#include "controller/cli/follow/log_printer.h"
#include "controller/cli/session/exit_status.h"
#include "controller/cli/show/json.h"
#include "controller/cli/show/views.h"

namespace furrow::cli {
namespace {

using std::chrono::milliseconds;

bool HasLog(const JobView& job) {
  return Raw(job.log_attempt.epoch) != 0;
}

// Returns the jobs of the selector that have logs, in order of start. Where an attempt is named (0: the newest),
// returns the jobs that have had so many attempts, with the log of that one. kInvalid: no job has had so many.
Result<RunDetail> FetchLogged(FarmClient& farm, const Selector& what, std::uint32_t attempt) {
  FURROW_ASSIGN(RunDetail detail, FetchRun(farm, what));
  std::erase_if(detail.jobs, [](const JobView& job) { return !HasLog(job); });
  if (attempt > 0 && !detail.jobs.empty()) {
    std::uint64_t most = 0;
    for (const JobView& job : detail.jobs) most = std::max(most, Raw(job.log_attempt.epoch));
    if (most < attempt)
      return Fail(Errc::kInvalid, FormatSelector(what) + " has no attempt " + std::to_string(attempt) +
                                      ": the newest there is " + std::to_string(most));
    std::erase_if(detail.jobs, [attempt](const JobView& job) { return Raw(job.log_attempt.epoch) < attempt; });
    for (JobView& job : detail.jobs) job.log_attempt.epoch = Epoch{attempt};
  }
  std::stable_sort(detail.jobs.begin(), detail.jobs.end(),
                   [](const JobView& a, const JobView& b) { return a.started < b.started; });
  return detail;
}

// Reads one log as it is now. kUnavailable: the controller is away.
Status ReadLog(FarmClient& farm, const JobView& job, std::uint32_t tail,
               const std::function<void(std::string_view)>& take) {
  std::optional<Status> end;
  LogStreams stream(farm);
  stream.Open(1, {job.log_run, job.log_attempt, 0, tail, false});
  const auto start = std::chrono::steady_clock::now();
  for (;;) {
    while (const auto news = stream.Next()) {
      if (!news->bytes.empty()) take(news->bytes);
      if (news->ended) end = news->status;
    }
    if (end) break;
    const bool connected = farm.bulk_generation() != 0;
    if (!connected && std::chrono::steady_clock::now() - start > std::chrono::seconds(3))
      return tl::unexpected(farm.Away());
    if (farm.AwayFor() > std::chrono::seconds(30)) return tl::unexpected(farm.Away());
    farm.Wait(milliseconds(200));
  }
  if (*end || end->error().code == Errc::kNotFound) return {};  // The job has printed nothing.
  return Fail(Errc::kInternal, NameOf(job) + ": " + end->error().message);
}

Result<int> PrintLogs(const Session& session, FarmClient& farm, const Selector& what, const LogsOptions& options) {
  FURROW_ASSIGN(const RunDetail detail, FetchLogged(farm, what, options.attempt));
  if (session.json) {
    std::vector<JobLog> logs;
    for (const JobView& job : detail.jobs) {
      JobLog& log = logs.emplace_back(JobLog{NameOf(job), job.log_attempt.epoch, ""});
      FURROW_TRY(ReadLog(farm, job, options.tail, [&](std::string_view bytes) { log.text += bytes; }));
    }
    WriteOut(JsonLogs(NameOf(detail.run), logs));
    return kExitPassed;
  }
  LogPrinter printer({detail.matching > 1, session.terminal.out, session.terminal.colour}, WriteOut);
  for (const JobView& job : detail.jobs) {
    bool printed = false;
    FURROW_TRY(ReadLog(farm, job, options.tail, [&](std::string_view bytes) {
      printed = true;
      printer.Take(job, bytes);
    }));
    printer.End(job);
    const bool worth_a_word = detail.matching == 1 || (job.outcome && !Passed(*job.outcome));
    if (!printed && job.outcome && worth_a_word && options.attempt == 0)
      Say(NameOf(job) + " printed nothing" + (Passed(*job.outcome) ? "" : "; it failed: " + ExplainEnd(job)));
  }
  if (detail.jobs.empty())
    Say((detail.run.state == RunState::kRunning ? "nothing has started yet in " : "nothing was started in ") +
        FormatSelector(what));
  return kExitPassed;
}

Result<int> FollowLogsOf(const Session& session, FarmClient& farm, const Selector& what, std::uint32_t tail) {
  FURROW_ASSIGN(const RunDetail detail, FetchRun(farm, what));
  Selector same = what;
  same.number = detail.run.number;
  LogPrinter printer({detail.matching > 1, session.terminal.out, session.terminal.colour}, WriteOut);
  Follower follower(
      farm, {same, FollowLogs::kWhole, tail, true},
      {nullptr, [&](const JobView& job, std::string_view bytes) { printer.Take(job, bytes); },
       [&](const JobView& job) { printer.End(job); },
       [](bool away) { Say(away ? "the controller is away; waiting for it" : "the controller is back"); }});
  for (;;) {
    FURROW_ASSIGN(const bool more, follower.Turn());
    if (!more) return kExitPassed;
    if (OutputError() != 0) return kExitFailed;
    farm.Wait(follower.Idle());
  }
}

}  // namespace

Result<int> LogsCommand(const Session& session, const LogsOptions& options) {
  FURROW_ASSIGN(const Selector what, ParseSelector(options.what));
  if (options.follow && session.json)
    return Fail(Errc::kInvalid, "--json gives one document, so it cannot follow: leave out -f or --json");
  FURROW_ASSIGN(const auto farm, session.OpenFarm());
  if (options.follow) return FollowLogsOf(session, *farm, what, options.tail);
  return PrintLogs(session, *farm, what, options);
}

}  // namespace furrow::cli
