#include "agent/loop.h"

#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <utility>
#include <variant>

#include "agent/lease_file.h"
#include "agent/reactor/reactor.h"
#include "agent/runner/process_tree.h"
#include "agent/settings.h"
#include "agent/slot/workspace_folder.h"
#include "common/base/clock_skew.h"
#include "common/base/free_space.h"
#include "common/base/log.h"
#include "common/daemon/config_reload.h"
#include "common/daemon/daemon_main.h"

namespace furrow {
namespace {

constexpr int kFramesATurn = 256;
constexpr std::size_t kDoubt = 4;  // heartbeats or registrations without an answer

// Returns whether the event may be the end of an attempt: a full disk may explain a failure, and what passes on one may
// have written less than it was to.
bool EndedOrListed(const runner::Event& event) {
  return std::holds_alternative<runner::Exited>(event) || std::holds_alternative<runner::Listing>(event);
}

}  // namespace

Result<std::unique_ptr<AgentLoop>> AgentLoop::Create(Parts parts, AgentState state) {
  std::unique_ptr<AgentLoop> loop(new AgentLoop(std::move(parts), std::move(state)));
  AgentLoop& self = *loop;
  self.state_.lease_until = ReadLease(self.state_.settings.state_folder);
  FURROW_ASSIGN(self.control_, Channel::Connect(self.parts_.context, self.parts_.control));
  FURROW_ASSIGN(self.workspace_,
                Workspace::Start(self.parts_.context, self.parts_.workspace,
                                 [&self](WorkspaceEvent event) { self.workspace_events_.Post(std::move(event)); }));
  FURROW_ASSIGN(self.uploader_, Uploader::Start(self.parts_.context, self.parts_.uploader, [&self](UploadEvent event) {
                  self.upload_events_.Post(std::move(event));
                }));
  self.poller_.Add(*self.control_);
  self.poller_.AddFd(self.workspace_events_.fd());
  self.poller_.AddFd(self.upload_events_.fd());
  self.poller_.AddFd(self.parts_.signals);
  self.poller_.AddFd(self.parts_.reloader.fd());
  FURROW_TRY(self.ConnectRunner());
  return loop;
}

Status AgentLoop::ConnectRunner() {
  FURROW_TRY(runner::StartRunner(state_.settings.state_folder, parts_.runner_program));
  FURROW_ASSIGN(runner::RunnerClient client, runner::RunnerClient::Connect(state_.settings.state_folder));
  runner_ = std::make_unique<runner::RunnerClient>(std::move(client));
  poller_.AddFd(runner_->fd());
  turns_.OnRunnerConnected(out_);
  return {};
}

Status AgentLoop::DrainRunner() {
  Result<std::vector<runner::Event>> events = runner_->Receive();
  if (events) {
    const Now now = parts_.clock.Read();
    LookAtDisk(std::any_of(events->begin(), events->end(), EndedOrListed));
    for (const runner::Event& event : *events) turns_.OnRunnerEvent(state_, out_, now, *this, event, runner_->holds());
    if (runner_->wants_write()) FlushRunner();
    return {};
  }
  poller_.RemoveFd(runner_->fd());
  runner_.reset();
  const auto after = turns_.OnRunnerLost(state_, out_);
  if (after == AgentTurns::AfterRunner::kLetGo) return {};
  log::Warning("{}", events.error().message);
  if (after == AgentTurns::AfterRunner::kGiveUp)
    return Fail(Errc::kInternal, "the runner ends again and again; see runner.log in " + state_.settings.state_folder);
  return ConnectRunner();
}

void AgentLoop::RemoveLeftovers(const std::set<std::string>& held) {
  std::error_code error;
  for (const char* folder : {"/work", "/spool"}) {
    for (const auto& entry : std::filesystem::directory_iterator(state_.settings.state_folder + folder, error)) {
      if (!held.contains(entry.path().string())) RemoveLeftover(entry.path().string());
    }
  }
}

void AgentLoop::DrainController() {
  const Now now = parts_.clock.Read();
  for (int i = 0; i < kFramesATurn; ++i) {
    const std::optional<std::string> frame = control_->Receive();
    if (!frame) return;
    const bool had_session = state_.session.has_value();
    if (const Status status = OnControllerFrame(state_, out_, now, *frame); !status)
      log::Warning("{}", status.error().message);
    if (!had_session && state_.session) ReportWelcome();
  }
}

void AgentLoop::ReportWelcome() {
  log::Info("registered; {} attempts are held", state_.jobs.size());
  if (const std::int64_t ahead = state_.session->clock_ahead_ms; std::abs(ahead) > kSkewWarningMs)
    log::Warning("this machine's clock is {} the controller's: times of jobs will look wrong; timedatectl set-ntp true",
                 SkewWords(ahead));
}

void AgentLoop::DrainThreads() {
  const Now now = parts_.clock.Read();
  const std::vector<WorkspaceEvent> prepared = workspace_events_.TakeAll();
  LookAtDisk(std::any_of(prepared.begin(), prepared.end(),
                         [](const WorkspaceEvent& event) { return std::holds_alternative<PrepareFailed>(event); }));
  for (const WorkspaceEvent& event : prepared) On(state_, out_, now, event);
  for (const UploadEvent& event : upload_events_.TakeAll()) On(state_, out_, now, event);
}

// Looks at the free space every second, more often where it may run out. `at_once`: something has ended that may have
// filled it.
void AgentLoop::LookAtDisk(bool at_once) {
  const Now now = parts_.clock.Read();
  if (!at_once && now.mono < disk_look_) return;
  if (now.mono >= disk_look_) {
    log::TellKeptBack();
    WakeRunner();
  }
  FreeSpace free{UINT64_MAX, true};  // where there is least: each of these may be on a disk of its own
  for (const char* part : {"", "/work", "/spool"}) {
    const auto there = FreeSpaceOf(state_.settings.state_folder + part);
    if (there && there->bytes < free.bytes) free = *there;
  }
  disk_look_ = now.mono + NextDiskLook(state_, free.bytes);
  const bool was_low = !state_.condition.empty();
  OnDiskSpace(state_, out_, now, free);
  if (was_low == !state_.condition.empty()) return;
  if (was_low)
    log::Info("the disk of {} has room again: new jobs are taken", state_.settings.state_folder);
  else
    log::Warning("no new jobs are taken: {}; delete {} in or beside {}, or lower `cache`", state_.condition,
                 free.files ? "something" : "files", state_.settings.state_folder);
}

// Wakes a stopped runner: it would neither report its jobs nor end them in time.
void AgentLoop::WakeRunner() {
  if (!runner_ || runner_->pid() == 0) return;
  const auto process = runner::ReadProcess(runner_->pid());
  if (!process || process->state != 'T') return;
  log::Warning("the runner (process {}) was stopped by a signal and is woken", process->pid);
  ::kill(process->pid, SIGCONT);
}

void AgentLoop::KeepLease(TimePoint until) {
  if (const Status saved = WriteLease(state_.settings.state_folder, until); !saved)
    log::Warning("cannot note the lease: {}", saved.error().message);
}

Status AgentLoop::TellRunner(const runner::Request& request) {
  return runner_->Queue(request);
}

void AgentLoop::FlushRunner() {
  // The next Receive reports the error again, as the end of the connection.
  if (const Status sent = runner_->Flush(); !sent) log::Warning("runner: {}", sent.error().message);
}

void AgentLoop::TellWorkspace(WorkspaceCommand command) {
  for (const char* part : {"", "/work", "/spool", "/cache"})
    if (const Result<bool> kept = KeepOwnFolder(state_.settings.state_folder + part); !kept)
      log::Warning("{}", kept.error().message);
  workspace_->Post(std::move(command));
}

void AgentLoop::TellUploader(UploadCommand command) {
  uploader_->Post(std::move(command));
}

bool AgentLoop::TellController(const std::string& frame) {
  return control_->Send(frame) != SendResult::kFull;
}

void AgentLoop::Complain(const std::string& what) {
  log::Error("{}", what);
}

void AgentLoop::ReportLink() {
  const LinkState link = control_->link();
  if (std::exchange(link_, link) == link) return;
  if (link == LinkState::kRefused && control_->refusal() == Refusal::kKey && state_.session)
    log::Warning("{} no longer lets this agent's key in: it was revoked, see `furrow keys` there; trying again",
                 parts_.control.address);
  else if (link == LinkState::kRefused && control_->refusal() == Refusal::kKey)
    log::Warning(
        "{} does not let this agent's key in: it was revoked, or the line that `furrow-agent identity` prints is "
        "missing in its allowlist; trying again",
        parts_.control.address);
  else if (link == LinkState::kRefused)
    log::Warning("{} is not the controller whose key is configured; trying again", parts_.control.address);
  if (link == LinkState::kConnected) log::Info("connected to {}", parts_.control.address);
  if (link == LinkState::kConnecting)
    log::Warning("the controller at {} is away; trying again", parts_.control.address);
}

// A connection that was just made is not doubted: the controller has let the key in.
void AgentLoop::NoteConnection() {
  const std::uint64_t made = control_->connections();
  if (std::exchange(connections_, made) == made) return;
  doubted_ = true;
  if (made > 1) OnConnected(state_, out_, parts_.clock.Read());  // Before the first one nothing was lost.
}

// Reconnects once when the controller is silent: a controller that has revoked the agent's key keeps the connection
// without a word, but refuses a new connection.
void AgentLoop::DoubtLink() {
  const std::size_t unanswered =
      state_.session ? state_.session->unanswered.size() : static_cast<std::size_t>(state_.register_tries);
  if (unanswered == 0) doubted_ = false;
  if (unanswered < kDoubt || doubted_ || link_ != LinkState::kConnected) return;
  doubted_ = true;
  control_->Reconnect();
}

std::optional<StopMode> AgentLoop::HandleSignals() {
  daemon::SignalSender sender;
  while (const int signal = daemon::NextSignal(parts_.signals, &sender)) {
    if (runner_ && runner_->pid() != 0 &&
        runner::MayBeAJobs(sender.process, sender.user, runner_->pid(), parent_, !state_.jobs.empty())) {
      log::Warning("signal {} from process {} is not obeyed: it is a job's, or has ended while jobs run", signal,
                   sender.process);
    } else if (signal == SIGHUP) {
      parts_.service.Reloading(parts_.clock.Read().mono);
      parts_.reloader.Begin();
    } else if (signal != SIGINT || turns_.ending()) {
      if (parts_.service.present() && sender.process != ::getppid()) stopped_by_ = sender.process;
      return turns_.ending() ? StopMode::kEndJobs : StopMode::kLeaveJobs;
    } else {
      const Now now = parts_.clock.Read();
      parts_.service.Stopping();
      turns_.BeginEnd(state_, out_, now);
      turns_.EndTurn(state_, out_, now, *this);  // Without a job to wait for this turn is the last one.
    }
  }
  if (const auto fresh = parts_.reloader.Take()) Reload(*fresh);
  return std::nullopt;
}

void AgentLoop::Reload(const Result<AgentReload>& fresh) {
  if (fresh) {
    LogReload(parts_.config_file, TakeReloadable(parts_.config, fresh->config));
    for (const std::string& warning : fresh->detected.warnings) log::Warning("{}", warning);
    log::SetLevel(parts_.config.log.level);
    const std::filesystem::path programs = std::filesystem::path(state_.settings.agent_program).parent_path();
    OnSettings(state_, out_, parts_.clock.Read(), SettingsOf(parts_.config, programs), fresh->detected.offer,
               parts_.config.cache_bytes);
  } else {
    log::Error("the configuration stays as it is: {}", fresh.error().message);
  }
  if (const Status opened = log::Redirect(parts_.config.log.file); !opened) log::Error("{}", opened.error().message);
  parts_.service.Ready();
}

Duration AgentLoop::TellServiceManager() {
  ServiceManager& service = parts_.service;
  if (!service.present()) return Duration::max();
  if (state_.runner_ready && !std::exchange(ready_sent_, true)) service.Ready();
  service.Say(StatusLine(state_, parts_.control.address, link_));
  return service.Alive(parts_.clock.Read().mono);
}

Result<StopMode> AgentLoop::Run() {
  for (;;) {
    Duration idle = turns_.EndTurn(state_, out_, parts_.clock.Read(), *this);
    idle = std::min(idle, TellServiceManager());
    if (!state_.jobs.empty()) idle = std::min(idle, std::max(disk_look_ - parts_.clock.Read().mono, Duration{0}));
    poller_.Wait(std::chrono::ceil<std::chrono::milliseconds>(idle));
    if (const auto stop = HandleSignals()) {
      parts_.service.Stopping();
      // Its service manager starts an agent again that has failed: whoever else ends it, as `pkill` in a job does, must
      // not take the machine out of the farm.
      if (stopped_by_ != 0)
        return Fail(Errc::kUnavailable, "stopped by process " + std::to_string(stopped_by_) +
                                            " and not by the service manager, which starts it again; its jobs go on");
      return *stop;
    }
    if (turns_.HasEnded(state_, parts_.clock.Read(), link_ == LinkState::kConnected)) return StopMode::kEndJobs;
    ReportLink();
    NoteConnection();
    DoubtLink();
    DrainController();
    DrainThreads();
    if (runner_) FURROW_TRY(DrainRunner());
  }
}

}  // namespace furrow
