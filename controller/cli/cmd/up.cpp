// `furrow up` runs a whole farm: a controller and its agents, until Ctrl-C.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "common/base/file_io.h"
#include "common/base/program.h"
#include "common/base/replace_file.h"
#include "common/daemon/farm_file.h"
#include "common/daemon/state_folder.h"
#include "controller/cli/cmd/commands.h"
#include "controller/cli/session/exit_status.h"
#include "controller/cli/session/signals.h"
#include "controller/cli/show/json.h"
#include "controller/cli/up/daemon.h"
#include "controller/cli/up/setup.h"

namespace furrow::cli {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr auto kReadyPatience = std::chrono::seconds(30);
constexpr auto kEndPatience = std::chrono::seconds(20);  // Jobs get their grace time.
constexpr auto kControllerPatience = std::chrono::seconds(10);

// Locks the state folder, which only one `furrow up` may use. The lock lives as long as the process.
Result<FileHandle> LockState(const fs::path& state) {
  const fs::path path = state / "up.lock";
  FileHandle lock(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lock) return tl::unexpected(ErrnoError("cannot open " + path.string(), errno));
  if (::flock(lock.Get(), LOCK_EX | LOCK_NB) != 0)
    return Fail(Errc::kRejected, "a farm is running in " + state.string() + " already; use it with --state " +
                                     state.string() + ", or choose another folder");
  return lock;
}

class Supervisor {
 public:
  Supervisor(const Session& session, fs::path state, const std::vector<DaemonPlan>& plans, Signals& signals)
      : session_(session), state_(std::move(state)), signals_(signals) {
    for (const DaemonPlan& plan : plans)
      daemons_.emplace_back(plan, daemons_.empty() ? SIGTERM : SIGINT);  // SIGINT makes an agent end its jobs.
  }

  ~Supervisor() {
    for (const Daemon& daemon : daemons_) daemon.Signal(SIGKILL);
  }

  Result<int> Run() {
    start_ = Clock::now();
    for (Daemon& daemon : daemons_) FURROW_TRY(daemon.Start());
    WritePids();
    while (!stopping_) {
      FURROW_TRY(Turn());
      if (!ready_) FURROW_TRY(LookWhetherReady());
    }
    return End();
  }

 private:
  Daemon& controller() { return daemons_.front(); }

  // Waits once and handles the events of the wait.
  Status Turn() {
    milliseconds patience = ready_ ? milliseconds(60'000) : milliseconds(5);
    for (const Daemon& daemon : daemons_)
      if (daemon.pid() == 0)
        patience = std::min(patience, std::chrono::ceil<milliseconds>(daemon.due() - Clock::now()));
    Wait(std::max(patience, milliseconds(0)));
    TakeSignals();
    if (stopping_) return {};
    bool changed = false;
    for (const auto& [pid, status] : Reap()) {
      changed = true;
      for (Daemon& daemon : daemons_) FURROW_TRY(OnExit(daemon, pid, status));
    }
    for (Daemon& daemon : daemons_) {
      if (!daemon.Due()) continue;
      changed = true;
      FURROW_TRY(daemon.Start());
    }
    if (changed) WritePids();
    return {};
  }

  Status OnExit(Daemon& daemon, pid_t pid, int status) {
    std::string message;
    if (!daemon.OnExit(pid, status, message)) return {};
    const std::string why = LastWords(daemon.plan().log.string());
    if (!ready_)
      return Fail(Errc::kInternal, message + (why.empty() ? "" : ": " + why) + " (" + daemon.plan().log.string() + ")");
    Say(message + ", starting it again; see " + daemon.plan().log.string());
    return {};
  }

  void Wait(milliseconds timeout) {
    if (farm_ && !ready_) return farm_->Wait(timeout, {signals_.fd()});
    Poller poller;
    poller.AddFd(signals_.fd());
    poller.Wait(timeout);
  }

  void TakeSignals() {
    while (const auto signal = signals_.Take())
      if (*signal != SIGCHLD) ++stopping_;
  }

  static std::vector<std::pair<pid_t, int>> Reap() {
    std::vector<std::pair<pid_t, int>> ended;
    int status = 0;
    for (pid_t pid = ::waitpid(-1, &status, WNOHANG); pid > 0; pid = ::waitpid(-1, &status, WNOHANG))
      ended.emplace_back(pid, status);
    return ended;
  }

  // Writes the pids of the daemons for people and tests: {"up": 1, "controller": 2, "agent-1": 3}.
  void WritePids() const {
    nlohmann::ordered_json pids{{"up", ::getpid()}};
    for (const Daemon& daemon : daemons_) pids[daemon.plan().name] = daemon.pid();
    static_cast<void>(ReplaceFile((state_ / "up.json").string(), pids.dump(2) + "\n", 0600, Durability::kNotSynced));
  }

  // Checks whether every agent is connected; Run calls this function again until then. A stale farm.json has another
  // controller's pid.
  Status LookWhetherReady() {
    if (Clock::now() - start_ > kReadyPatience)
      return Fail(Errc::kInternal, "the farm did not come up within 30 s; see " + (state_ / "daemons").string());
    if (!farm_) {
      const Result<FarmFile> file = ReadFarmFile(state_);
      if (!file || file->pid != controller().pid()) return {};
      FURROW_ASSIGN(farm_, FarmClient::Open([state = state_.string()] { return FindFarm(state); }));
      asked_ = farm_->Send(Ping{});
    }
    while (const auto reply = farm_->Receive()) {
      const auto* pong = std::get_if<Pong>(&reply->second);
      if (pong == nullptr || reply->first != asked_) continue;
      asked_ = 0;
      if (pong->agents_connected + 1 >= daemons_.size()) return SayReady();
    }
    if (asked_ == 0) asked_ = farm_->Send(Ping{});
    return {};
  }

  Status SayReady() {
    ready_ = true;
    farm_.reset();
    FURROW_ASSIGN(const FarmFile file, ReadFarmFile(state_));
    const auto took = std::chrono::duration_cast<milliseconds>(Clock::now() - start_);
    const std::size_t agents = daemons_.size() - 1;
    if (session_.json) {
      const nlohmann::ordered_json json{{"ready", true},     {"state", state_.string()}, {"control", file.control},
                                        {"bulk", file.bulk}, {"agents", agents},         {"ready_ms", took.count()}};
      WriteOut(Dump(json));
    } else {
      const auto usual = StateFolder("");
      const bool standard = usual && *usual == state_;
      WriteOut(Plain("furrow: ready in " + FormatDuration(took) + ": " + std::to_string(agents) +
                     (agents == 1 ? " agent" : " agents") + ", control " + file.control + ", logs " +
                     (state_ / "daemons").string() + "; try: furrow" + (standard ? "" : " --state " + state_.string()) +
                     " run FOLDER") +
               "\n");
    }
    return {};
  }

  bool Running() const {
    return std::any_of(daemons_.begin() + 1, daemons_.end(), [](const Daemon& agent) { return agent.pid() != 0; }) ||
           !RunnersBeneath((state_ / "agents").string()).empty();
  }

  // Ends the agents first, so that the controller learns how their jobs end, and then the controller. A second signal
  // ends everything at once.
  Result<int> End() {
    if (!session_.json) Say("stopping; jobs are ended. Ctrl-C again does not wait for them");
    for (std::size_t i = 1; i < daemons_.size(); ++i) {
      // An agent that is not running starts again, to stop its runner.
      if (daemons_[i].pid() == 0) static_cast<void>(daemons_[i].Start());
      daemons_[i].Signal(SIGINT);
    }
    std::string message;
    const auto note = [&] {
      for (const auto& [pid, status] : Reap())
        for (Daemon& daemon : daemons_) static_cast<void>(daemon.OnExit(pid, status, message));
    };
    const auto wait = [&](auto still, Clock::duration patience) {
      const auto until = Clock::now() + patience;
      for (note(); still() && stopping_ == 1 && Clock::now() < until; note()) {
        Wait(milliseconds(20));
        TakeSignals();
      }
    };
    wait([&] { return Running(); }, kEndPatience);
    controller().Signal(SIGTERM);
    wait([&] { return controller().pid() != 0; }, kControllerPatience);
    for (const Daemon& daemon : daemons_) daemon.Signal(SIGKILL);
    // The jobs die with their runner. It does not obey a SIGTERM whose sender may be gone when it looks.
    for (const pid_t runner : RunnersBeneath((state_ / "agents").string())) ::kill(runner, SIGKILL);
    std::error_code ignored;
    fs::remove(state_ / "up.json", ignored);
    return kExitPassed;
  }

  const Session& session_;
  const fs::path state_;
  Signals& signals_;
  std::vector<Daemon> daemons_;  // the controller comes first
  std::unique_ptr<FarmClient> farm_;
  std::uint64_t asked_ = 0;
  Clock::time_point start_{};
  bool ready_ = false;
  int stopping_ = 0;  // the number of signals to stop
};

}  // namespace

Result<int> UpCommand(const Session& session, const UpOptions& options) {
  Signals signals({SIGINT, SIGTERM, SIGHUP, SIGCHLD});
  FarmPlan plan;
  FURROW_ASSIGN(plan.state, StateFolder(session.state));
  std::error_code error;
  plan.programs = fs::read_symlink("/proc/self/exe", error).parent_path();
  plan.agents = options.agents;
  MakeFilesPrivate();
  for (const char* part : {"", "daemons", "agents"}) FURROW_TRY(daemon::TakeStateFolder(plan.state / part));
  FURROW_ASSIGN(const FileHandle lock, LockState(plan.state));
  std::string remark;
  const auto ports = ChoosePorts(static_cast<std::uint16_t>(options.port), options.port_named, remark);
  if (!ports) return Fail(Errc::kInternal, ports.error().message);
  if (!remark.empty()) Say(remark);
  plan.control_port = ports->control;
  plan.bulk_port = ports->bulk;
  plan.enrol_port = ports->enrol;
  FURROW_ASSIGN(const std::vector<DaemonPlan> daemons, PrepareFarm(plan));
  return Supervisor(session, plan.state, daemons, signals).Run();
}

}  // namespace furrow::cli
