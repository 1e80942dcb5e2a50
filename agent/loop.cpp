#include "agent/loop.h"

#include <sys/statvfs.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <span>
#include <utility>

#include "agent/lease_file.h"
#include "agent/reactor/reactor.h"
#include "agent/settings.h"
#include "common/base/clock_skew.h"
#include "common/base/log.h"
#include "common/daemon/config_reload.h"
#include "common/daemon/daemon_main.h"
#include "common/wire/unreadable.h"
#include "schemas/agent.h"

namespace furrow {
namespace {

constexpr int kFramesATurn = 256;
constexpr Duration kReportPatience = std::chrono::seconds(5);  // time for the reports of ended jobs
constexpr Duration kDiskLook = std::chrono::seconds(1);
constexpr std::size_t kDoubt = 4;  // heartbeats or registrations without an answer
constexpr int kRunnerTries = 5;    // After so many failures in a row the agent gives up: the machine is at fault.

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
  return runner_->Send({runner::List{}});
}

Status AgentLoop::DrainRunner() {
  Result<std::vector<runner::Event>> events = runner_->Receive();
  if (events) {
    const Now now = parts_.clock.Read();
    for (const runner::Event& event : *events) {
      runner_failures_ = 0;
      if (const auto* started = std::get_if<runner::Started>(&event)) On(state_, out_, now, *started);
      if (const auto* exited = std::get_if<runner::Exited>(&event)) On(state_, out_, now, *exited);
      if (const auto* listing = std::get_if<runner::Listing>(&event)) {
        state_.runner_holds = runner_->holds();
        On(state_, out_, now, *listing);
        if (!std::exchange(cleaned_, true)) RemoveLeftovers();
      }
    }
    if (runner_->wants_write()) return runner_->Flush();
    return {};
  }
  out_.runner.clear();  // The next Listing brings these requests about again.
  poller_.RemoveFd(runner_->fd());
  runner_.reset();
  if (end_by_) return {};  // The runner has carried out the Shutdown.
  log::Warning("{}", events.error().message);
  OnRunnerGone(state_);
  if (++runner_failures_ > kRunnerTries)
    return Fail(Errc::kInternal, "the runner ends again and again; see runner.log in " + state_.settings.state_folder);
  return ConnectRunner();
}

// Removes the files that earlier processes left in slots without an attempt, since new jobs use these slots as new.
void AgentLoop::RemoveLeftovers() {
  std::set<std::string> held;
  for (const auto& [ref, job] : state_.jobs) {
    held.insert(WorkspaceOf(state_.settings, job.slot));
    held.insert(SpoolOf(state_.settings, job.slot));
    held.insert(MetricsFileOf(state_.settings, job.slot));
  }
  std::error_code error;
  for (const char* folder : {"/work", "/spool"}) {
    for (const auto& entry : std::filesystem::directory_iterator(state_.settings.state_folder + folder, error)) {
      if (held.contains(entry.path().string())) continue;
      std::error_code failed;
      std::filesystem::remove_all(entry.path(), failed);
      if (failed) log::Warning("left behind: {}: {}", entry.path().string(), failed.message());
    }
  }
}

void AgentLoop::DrainController() {
  const Now now = parts_.clock.Read();
  for (int i = 0; i < kFramesATurn; ++i) {
    const std::optional<std::string> frame = control_->Receive();
    if (!frame) return;
    Result<ToAgent> message = DecodeToAgent(*frame);
    if (!message) {
      log::Warning("a frame from the controller is not understood: {}", message.error().message);
      if (const auto assigned = AssignedAttemptOf(*frame))
        OnUnreadableAssign(state_, out_, now, assigned->session, assigned->attempt, message.error().message);
      continue;
    }
    const bool welcome = std::holds_alternative<Welcome>(*message);
    if (const Status status = OnControllerMessage(state_, out_, now, *message); !status)
      log::Warning("{}", status.error().message);
    else if (welcome)
      ReportWelcome();
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

// Looks at the free space every second. `at_once`: something has failed that a full disk may explain.
void AgentLoop::LookAtDisk(bool at_once) {
  const Now now = parts_.clock.Read();
  if (!at_once && now.mono < disk_look_) return;
  disk_look_ = now.mono + kDiskLook;
  struct statvfs facts {};
  if (::statvfs(state_.settings.state_folder.c_str(), &facts) != 0) return;
  const bool was_low = !state_.condition.empty();
  OnDiskSpace(state_, out_, now, static_cast<std::uint64_t>(facts.f_bavail) * facts.f_frsize);
  if (was_low == !state_.condition.empty()) return;
  if (was_low)
    log::Info("the disk of {} has room again: new jobs are taken", state_.settings.state_folder);
  else
    log::Warning("no new jobs are taken: {}; delete something in or beside {}, or lower `cache`", state_.condition,
                 state_.settings.state_folder);
}

void AgentLoop::SaveLease(TimePoint until) {
  if (const Status saved = WriteLease(state_.settings.state_folder, until); !saved)
    log::Warning("cannot note the lease: {}", saved.error().message);
  out_.runner.emplace_back(runner::Lease{static_cast<std::uint64_t>(until.since_start.count())});
}

// Carries out the effects in out_, and leaves there the effects of those that failed.
void AgentLoop::CarryOut() {
  if (out_.lease_until) SaveLease(*out_.lease_until);
  AgentOutbox out = std::exchange(out_, {});
  if (runner_) TellRunner(out.runner);
  for (WorkspaceCommand& command : out.workspace) workspace_->Post(std::move(command));
  for (UploadCommand& command : out.uploads) uploader_->Post(std::move(command));
  for (const AgentMessage& message : out.to_controller) {
    const auto frame = Encode(message);
    if (!frame) {
      log::Error("{}", frame.error().message);
      OnUnsendable(state_, out_, parts_.clock.Read(), message, frame.error().message);
    } else if (control_->Send(*frame) == SendResult::kFull) {
      break;  // Everything that matters is sent again.
    }
  }
}

void AgentLoop::TellRunner(const std::vector<runner::Request>& requests) {
  for (const runner::Request& request : requests) {
    const Status queued = runner_->Queue(request);
    if (queued) continue;
    log::Error("runner: {}", queued.error().message);
    if (const auto* start = std::get_if<runner::Start>(&request))
      OnStartRefused(state_, out_, parts_.clock.Read(), start->ref, queued.error().message);
  }
  // The next Receive reports the error again, as the end of the connection.
  if (const Status sent = runner_->Flush(); !sent) log::Warning("runner: {}", sent.error().message);
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

void AgentLoop::BeginEnd() {
  const Now now = parts_.clock.Read();
  end_by_ = now.mono + state_.settings.kill_grace + kReportPatience;
  parts_.service.Stopping();
  OnStop(state_, out_, now);
  out_.runner.emplace_back(runner::Shutdown{true});
}

bool AgentLoop::HasEnded() const {
  if (!end_by_) return false;
  const bool runs =
      std::any_of(state_.jobs.begin(), state_.jobs.end(), [](const auto& entry) { return entry.second.InRunner(); });
  return state_.jobs.empty() || (!runs && link_ != LinkState::kConnected) || parts_.clock.Read().mono >= *end_by_;
}

std::optional<StopMode> AgentLoop::HandleSignals() {
  while (const int signal = daemon::NextSignal(parts_.signals)) {
    if (signal == SIGHUP) {
      parts_.service.Reloading(parts_.clock.Read().mono);
      parts_.reloader.Begin();
    } else if (signal != SIGINT || end_by_) {
      return end_by_ ? StopMode::kEndJobs : StopMode::kLeaveJobs;
    } else {
      BeginEnd();
      CarryOut();  // Without a job to wait for this turn is the last one.
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
    Duration idle = OnTick(state_, out_, parts_.clock.Read());
    CarryOut();
    if (!out_.empty()) continue;
    idle = std::min(idle, TellServiceManager());
    poller_.Wait(std::chrono::ceil<std::chrono::milliseconds>(idle));
    if (const auto stop = HandleSignals()) {
      parts_.service.Stopping();
      return *stop;
    }
    if (HasEnded()) return StopMode::kEndJobs;
    ReportLink();
    DoubtLink();
    DrainController();
    DrainThreads();
    if (runner_) FURROW_TRY(DrainRunner());
  }
}

}  // namespace furrow
