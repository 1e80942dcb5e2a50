// The git hook calls `furrow trigger`, which reports a push to the farm in bounded time and never fails the push.
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>

#include "common/base/program.h"
#include "common/base/text.h"
#include "common/base/user_folders.h"
#include "controller/cli/cmd/commands.h"
#include "controller/cli/hook/hook.h"
#include "controller/cli/session/exit_status.h"
#include "controller/cli/show/json.h"

namespace furrow::cli {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

constexpr milliseconds kBudget{5000};  // time for the whole command, because git waits
constexpr milliseconds kConnect{1500};

class Triggers {
 public:
  Triggers(const Session& session, fs::path git_dir, std::string repository)
      : session_(session), git_dir_(std::move(git_dir)), repository_(std::move(repository)) {}

  // Reports a push. TellNoted reports noted pushes before. kUnavailable: there is no controller, or no time left.
  Result<Submitted> Tell(const PendingPush& push) {
    if (!farm_) {
      FURROW_ASSIGN(farm_, session_.OpenFarm());
    }
    const auto left = kBudget - std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - start_);
    if (left <= milliseconds(0)) return Fail(Errc::kUnavailable, "the controller has not answered in time");
    return farm_->Ask<Submitted>(Trigger{Uuid::Random(), repository_, push.ref, push.old_commit, push.new_commit},
                                 {kConnect, left});
  }

  // Reports the noted pushes, or notes them again.
  Status TellNoted() {
    FURROW_ASSIGN(const std::vector<PendingPush> noted, TakePending(git_dir_));
    Status result;
    for (const PendingPush& push : noted) {
      const Result<Submitted> answer = result ? Tell(push) : Result<Submitted>(tl::unexpected(result.error()));
      if (!answer && answer.error().code == Errc::kUnavailable) {
        result = tl::unexpected(answer.error());
        FURROW_TRY(NotePending(git_dir_, push));
      } else {
        Report(push, answer, false);
      }
    }
    return result;
  }

  // Prints an answer. With --json the answer to the push itself is the document; otherwise a noted push is named as an
  // earlier one.
  void Report(const PendingPush& push, const Result<Submitted>& answer, bool asked_for) const {
    const std::string what = asked_for ? "" : "the earlier push of " + push.new_commit.substr(0, 8) + ": ";
    if (session_.json && asked_for) {
      WriteOut(answer ? JsonSubmitted(*answer) : JsonError(answer.error()));
    } else if (!answer) {
      Say(what + push.ref + ": " + answer.error().message);
    } else if (answer->name.empty()) {
      const std::string nothing = answer->repeated ? "has had its run; `furrow runs` shows it" : "nothing starts";
      Say(what + push.ref + ": " + (answer->note.empty() ? nothing : answer->note));
    } else {
      Say(what + answer->name + (answer->repeated ? " was started before" : " started") + "; follow: furrow logs -f " +
          answer->name);
      if (!answer->note.empty()) Say(what + answer->name + ": " + answer->note);
    }
  }

 private:
  const Session& session_;
  const fs::path git_dir_;
  const std::string repository_;
  const std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::unique_ptr<FarmClient> farm_;
};

// Checks that the names are UTF-8. A push is found again by these names, so they cannot be repaired.
Status CheckNames(const std::string& repository, const std::string& ref) {
  if (!IsName(repository))
    return Fail(Errc::kInvalid,
                "the path " + repository + " is not UTF-8: pushes to it cannot be told; rename the folder");
  if (!IsName(ref))
    return Fail(Errc::kInvalid, "the name of " + ref + " is not UTF-8: a push of it starts nothing; rename the branch");
  return {};
}

// Returns the repository at `path` by the path that the farm knows it by.
Result<fs::path> OneRepository(const std::string& path) {
  FURROW_TRY(CheckCurrentFolder(path));
  std::error_code error;
  const fs::path real = fs::canonical(path, error);
  if (error) return Fail(Errc::kInvalid, "there is no repository " + path + ": " + error.message());
  return RepositoryOf(real);
}

}  // namespace

Result<int> TriggerCommand(const Session& session, const TriggerOptions& options) {
  FURROW_ASSIGN(const fs::path repository, OneRepository(options.repository));
  FURROW_TRY(CheckNames(repository.string(), options.ref));
  FURROW_ASSIGN(const fs::path git_dir, GitDirOf(repository));
  const PendingPush push{options.ref, options.old_commit, options.new_commit};
  const auto note = [&](const std::string& why) -> Result<int> {
    FURROW_TRY(NotePending(git_dir, push));
    Say(push.ref + " is noted and will be taken up when the controller is back (" + why + ")");
    return kExitUnreachable;
  };
  if (const char* only = std::getenv("FURROW_NOTE_ONLY"); only != nullptr && *only != '\0')
    return note("it was away a moment ago");

  Triggers triggers(session, git_dir, repository.string());
  if (const Status noted = triggers.TellNoted(); !noted) return note(noted.error().message);
  const Result<Submitted> answer = triggers.Tell(push);
  if (!answer && answer.error().code == Errc::kUnavailable) return note(answer.error().message);
  triggers.Report(push, answer, true);
  return answer ? kExitPassed : ExitOf(answer.error());
}

Result<int> HookInstallCommand(const Session& session, const std::string& repository, bool force) {
  std::error_code error;
  HookSettings settings;
  FURROW_ASSIGN(settings.repository, OneRepository(repository));
  settings.force = force;
  FURROW_TRY(CheckNames(settings.repository.string(), ""));
  settings.program = fs::read_symlink("/proc/self/exe", error);
  if (error) return Fail(Errc::kInternal, "cannot find this program's own path: " + error.message());
  const char* controller = std::getenv("FURROW_CONTROLLER");
  if (session.state.empty() && std::getenv("FURROW_STATE") == nullptr && controller != nullptr) {
    settings.controller = controller;
  } else {
    FURROW_ASSIGN(const fs::path folder, FarmFolder(session.state));
    settings.state = folder.string();
  }
  FURROW_ASSIGN(const std::string text, InstallHook(settings));

  // The hook works without a watch, but only a watched repository finds a push that happens while the hook cannot run.
  const auto watch = [&]() -> Result<Done> {
    FURROW_ASSIGN(const auto farm, session.OpenFarm());
    return farm->Ask<Done>(WatchRepository{settings.repository.string()}, {kConnect, std::chrono::seconds(30)});
  };
  const Result<Done> done = watch();
  if (session.json)
    WriteOut(JsonText("text", text));
  else
    WriteOut(PlainLines(text) + (text.ends_with('\n') ? "" : "\n"));
  const bool away = !done && done.error().code == Errc::kUnavailable;
  if (away) {
    Say("the hook is there, and its pushes start runs as soon as the controller answers; but the controller does not "
        "watch the repository yet, so install it again then: " +
        done.error().message);
    return ExitOf(done.error());
  }
  if (!done)
    return Fail(done.error().code,
                "the hook is there, but its pushes start nothing until the controller can read "
                "the repository: " +
                    done.error().message);
  if (done && !session.json) Say(done->text);
  return kExitPassed;
}

}  // namespace furrow::cli
