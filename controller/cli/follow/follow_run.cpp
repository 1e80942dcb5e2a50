#include "controller/cli/follow/follow_run.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <optional>
#include <string>

#include "common/base/program.h"
#include "common/wire/selector.h"
#include "controller/cli/follow/follower.h"
#include "controller/cli/follow/live_view.h"
#include "controller/cli/follow/log_printer.h"
#include "controller/cli/session/exit_status.h"
#include "controller/cli/show/json.h"

namespace furrow::cli {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr auto kRedraw = milliseconds(100);
constexpr auto kLookForWaiting = milliseconds(500);
constexpr auto kStandsStill = std::chrono::seconds(3);
constexpr std::size_t kFailedLogs = 3;
constexpr std::uint32_t kFailedLines = 20;

class RunShow {
 public:
  RunShow(const Session& session, FarmClient& farm, const Selector& run, Signals& signals, bool ours)
      : session_(session),
        ours_(ours),
        farm_(farm),
        signals_(signals),
        live_(session.terminal.out && session.terminal.err && !session.json),
        view_(session.terminal.colour),
        printer_({true, session.json ? session.terminal.err : session.terminal.out, session.terminal.colour},
                 session.json ? WriteErr : WriteOut),
        follower_(farm, {run, live_ ? FollowLogs::kNewest : FollowLogs::kWhole, live_ ? 8u : 0u, false},
                  HandlersFor()) {}

  Result<int> Show() {
    for (;;) {
      FURROW_ASSIGN(const bool more, follower_.Turn());
      if (!more) break;
      if (const auto status = OnSignals()) return *status;
      if (const auto status = OnAnswer()) return *status;
      Redraw();
      TellOfWaiting();
      const milliseconds idle = live_ && !asking_ ? std::min(follower_.Idle(), kRedraw) : follower_.Idle();
      farm_.Wait(idle, {signals_.fd(), asking_ ? STDIN_FILENO : -1});
    }
    if (live_ && !asking_) view_.Clear();
    StopAsking();
    ShowEnd();
    switch (follower_.run().state) {
      case RunState::kPassed: return kExitPassed;
      case RunState::kCancelled: return kExitCancelled;
      default: return kExitFailed;
    }
  }

 private:
  Follower::Handlers HandlersFor() {
    return {nullptr,
            [this](const JobView& job, std::string_view bytes) {
              if (live_)
                view_.TakeLog(job, bytes);
              else
                printer_.Take(job, bytes);
            },
            [this](const JobView& job) {
              if (!live_) printer_.End(job);
            },
            [this](bool away) {
              if (!live_) Say(away ? "the controller is away; waiting for it" : "the controller is back");
            }};
  }

  void Redraw() {
    if (!live_ || asking_ || !follower_.known() || Clock::now() - drawn_ < kRedraw) return;
    drawn_ = Clock::now();
    view_.Draw(follower_.run(), follower_.jobs(), session_.Style().now);
  }

  // Tells why jobs wait: the live view shows the reasons, but elsewhere a run that stands still would print nothing.
  void TellOfWaiting() {
    if (live_ || !follower_.known() || Clock::now() - looked_ < kLookForWaiting) return;
    looked_ = Clock::now();
    const bool moves = follower_.run().jobs.running > 0;
    const auto& jobs = follower_.jobs();
    const auto waiting =
        std::find_if(jobs.begin(), jobs.end(), [](const JobView& job) { return job.state == JobState::kReady; });
    if (moves || waiting == jobs.end()) {
      stands_.reset();
    } else if (!stands_) {
      stands_ = looked_;
    } else if (looked_ - *stands_ >= kStandsStill && waiting->waits_for != told_) {
      told_ = waiting->waits_for;
      Say(NameOf(*waiting) + " waits: " + told_ + " (`" + session_.Program() + " why " + NameOf(follower_.run()) +
          "` tells more)");
    }
  }

  std::optional<int> OnSignals() {
    while (const auto signal = signals_.Take()) {
      if (*signal == SIGWINCH) {
        drawn_ = {};
      } else if (cancelled_) {
        Say("not waiting for the end of the run");
        return kExitCancelled;
      } else if (*signal == SIGINT && session_.terminal.in && session_.terminal.err && !asking_) {
        if (live_) view_.Clear();
        asking_.emplace();
        WriteErr("\nfurrow: [c]ancel the run, [d]etach from it, or another key to go on? ");
      } else if (*signal == SIGTERM) {
        Detach();
        return kExitDetached;
      } else if (ours_) {
        Cancel();
      } else {
        return Detach();
      }
    }
    return std::nullopt;
  }

  // Handles the key that was typed at the question.
  std::optional<int> OnAnswer() {
    pollfd typed{STDIN_FILENO, POLLIN, 0};
    if (!asking_ || ::poll(&typed, 1, 0) <= 0) return std::nullopt;
    char key = 0;
    const ssize_t got = ::read(STDIN_FILENO, &key, 1);
    StopAsking();
    if (got > 0 && (key == 'c' || key == 'C')) Cancel();
    if (got <= 0 || key == 'd' || key == 'D') return Detach();
    return std::nullopt;
  }

  void StopAsking() {
    if (asking_) WriteErr("\n");
    asking_.reset();
  }

  int Detach() {
    StopAsking();
    Say("detached; " + session_.Program() + " show -f " + NameOf(follower_.run()) + " follows it");
    return kExitPassed;
  }

  void Cancel() {
    StopAsking();
    cancelled_ = true;
    Say("cancelling; again Ctrl-C does not wait for it");
    follower_.Cancel("by Ctrl-C");
  }

  void ShowEnd() {
    const RunSummary& run = follower_.run();
    if (session_.json) return WriteOut(JsonRun(run, follower_.jobs()));
    if (live_) ShowFailedLogs();
    const auto write = session_.terminal.out ? WriteOut : WriteErr;
    ViewStyle style = session_.Style();
    style.colour = style.colour && session_.terminal.out;
    write(RenderRun(run, follower_.jobs(), style));
    const bool artifacts = std::any_of(follower_.jobs().begin(), follower_.jobs().end(),
                                       [](const JobView& job) { return !job.artifacts.IsZero(); });
    const std::string name = NameOf(run);
    const std::string program = session_.Program();
    Say("more: " + program + " logs " + name + (artifacts ? ", " + program + " artifacts " + name : "") +
        (run.state == RunState::kFailed ? ", " + program + " retry " + name + " --failed" : ""));
  }

  // Shows the last lines of failed jobs, which a run in the live view shows nowhere else.
  void ShowFailedLogs() {
    std::size_t shown = 0;
    for (const JobView& job : follower_.jobs()) {
      if (job.state != JobState::kFailed || Raw(job.log_attempt.epoch) == 0) continue;
      if (++shown > kFailedLogs) continue;
      WriteOut(Paint("── " + Plain(NameOf(job) + ": " + (job.outcome ? ExplainEnd(job) : "failed")), Colour::kRed,
                     session_.terminal.colour) +
               "\n");
      LogPrinter printer({true, true, session_.terminal.colour}, WriteOut);
      bool open = true;
      LogStreams stream(farm_);
      stream.Open(Raw(job.id), {job.log_run, job.log_attempt, 0, kFailedLines, false});
      const auto deadline = Clock::now() + std::chrono::seconds(3);
      while (open && Clock::now() < deadline) {
        while (const auto news = stream.Next()) {
          if (!news->bytes.empty()) printer.Take(job, news->bytes);
          open = open && !news->ended;
        }
        if (open) farm_.Wait(milliseconds(100));
      }
      printer.End(job);
    }
    if (shown > kFailedLogs)
      WriteOut(Paint("── " + std::to_string(shown - kFailedLogs) + " more failed\n", Colour::kRed,
                     session_.terminal.colour));
  }

  const Session& session_;
  const bool ours_;  // This program started the run, so Ctrl-C without a question cancels it.
  FarmClient& farm_;
  Signals& signals_;
  const bool live_;
  std::optional<SingleKeys> asking_;
  bool cancelled_ = false;
  Clock::time_point looked_{};               // when waiting jobs were last looked for
  std::optional<Clock::time_point> stands_;  // since when no agent has a job of the run although one is ready
  std::string told_;                         // the reason that was printed last
  Clock::time_point drawn_{};
  LiveView view_;
  LogPrinter printer_;
  Follower follower_;
};

}  // namespace

Result<int> FollowRun(const Session& session, FarmClient& farm, const Submitted& submitted, Signals& signals) {
  FURROW_ASSIGN(const Selector run, ParseSelector(submitted.name));
  if (!session.json) Say(submitted.name + " started" + (submitted.note.empty() ? "" : ": " + submitted.note));
  return RunShow(session, farm, run, signals, /*ours=*/true).Show();
}

Result<int> WatchRun(const Session& session, FarmClient& farm, const Selector& run, Signals& signals) {
  return RunShow(session, farm, run, signals, /*ours=*/false).Show();
}

int SayDetached(const Session& session, const Submitted& submitted) {
  if (session.json) {
    WriteOut(JsonSubmitted(submitted));
  } else {
    WriteOut(submitted.name + "\n");
    if (!submitted.note.empty()) Say(submitted.name + ": " + submitted.note);
    Say("follow it with " + session.Program() + " logs -f " + submitted.name);
  }
  return kExitPassed;
}

}  // namespace furrow::cli
