#include "controller/loop.h"

#include <csignal>

#include <algorithm>
#include <span>

#include "common/base/log.h"
#include "common/base/overloaded.h"
#include "common/daemon/config_reload.h"
#include "common/daemon/daemon_main.h"
#include "controller/parse/prepare.h"
#include "controller/reactor/dispatcher.h"
#include "controller/reactor/reactor.h"
#include "controller/settings.h"

namespace furrow {
namespace {

constexpr int kFramesATurn = 1000;
constexpr Duration kTickInterval = std::chrono::milliseconds(250);

// Encodes an answer. One that breaks a cap, such as the frame's, becomes a Failure that says so.
std::string EncodeAnswer(const ClientSend& send) {
  if (auto frame = Encode(send.asker.number, send.message)) return std::move(*frame);
  const std::string why = Encode(send.asker.number, send.message).error().message;
  const Failure failure{
      Errc::kRejected, "the answer is more than one message holds; ask for less at a time: " + why, "", {}};
  return Encode(send.asker.number, ClientReply(failure)).value();
}

}  // namespace

ControllerLoop::ControllerLoop(Parts parts, State state, Outbox first)
    : parts_(parts), state_(std::move(state)), out_(std::move(first)) {
  poller_.Add(parts_.control);
  poller_.AddFd(parts_.events.fd());
  poller_.AddFd(parts_.signals);
  poller_.AddFd(parts_.reloader.fd());
}

void ControllerLoop::DrainFrames(Now now) {
  for (int i = 0; i < kFramesATurn; ++i) {
    const std::optional<Incoming> frame = parts_.control.Receive();
    if (!frame) return;
    const Status status = Dispatch(state_, out_, now, *frame);
    if (status) continue;
    if (status.error().code == Errc::kInvalid && frame->who.role == Role::kAgent)
      log::Warning("{}: {}", frame->who.name, status.error().message);
    else
      log::Debug("{}: {}", frame->who.name, status.error().message);
  }
}

Status ControllerLoop::Handle(Now now, LoopEvent& event) {
  return std::visit(Overloaded{
                        [&](Committed& committed) { return OnCommitted(committed); },
                        [](BulkFailed& failed) -> Status { return Fail(Errc::kInternal, failed.message); },
                        [&](auto& other) -> Status {
                          On(state_, out_, now, other);
                          return {};
                        },
                    },
                    event);
}

Status ControllerLoop::OnCommitted(const Committed& committed) {
  FURROW_ASSIGN(std::vector<Outbox> release, turns_.OnCommitted(committed));
  for (Outbox& effects : release) Release(std::move(effects));
  return {};
}

Status ControllerLoop::DrainEvents(Now now) {
  for (LoopEvent& event : parts_.events.TakeAll()) FURROW_TRY(Handle(now, event));
  return {};
}

void ControllerLoop::CheckDisk() {
  const DiskHealth health = parts_.disk.Check();
  std::string refusing;
  if (health != DiskHealth::kOk)
    refusing = "the controller's disk is " + std::string(DiskHealthName(health)) + " (" +
               std::to_string(parts_.disk.FreeBytes() >> 20) +
               " MiB left); free space on it, nothing need be restarted";
  if (refusing.empty() != state_.refusing.empty())
    refusing.empty() ? log::Info("the disk has space again; work is accepted")
                     : log::Error("no new work is accepted: {}", refusing);
  state_.refusing = std::move(refusing);
}

// Sends the messages that may leave now. A message that cannot be delivered is not an error, because the protocol
// repeats every message that matters.
void ControllerLoop::Release(Outbox out) {
  // The bulk channel comes first, because it must know an attempt before the agent does.
  for (BulkCommand& command : out.bulk) parts_.bulk.Post(std::move(command));
  for (const AgentSend& send : out.to_agents) {
    if (const auto frame = Encode(send.message)) {
      parts_.control.Send(send.peer, *frame);
    } else {
      log::Error("{}", frame.error().message);
      OnUnsendable(state_, out_, parts_.clock.Read(), send, frame.error().message);
    }
  }
  for (const ClientSend& send : out.to_clients)
    if (parts_.control.Send(send.asker.peer, EncodeAnswer(send)) != SendResult::kSent)
      ForgetClient(state_, send.asker.peer);
  for (PrepareSubmission& submission : out.submissions)
    parts_.preparer.Run([&events = parts_.events, one = std::move(submission)] { events.Post(PrepareFileOf(one)); });
  for (RepositoryCommand& command : out.repositories) {
    if (auto* import = std::get_if<ImportCommit>(&command))
      parts_.repositories.Import(import->ticket, std::move(import->request));
    else
      parts_.repositories.ListRefs(std::get<LookAtRefs>(command).repository);
  }
  for (HistoryQuery& query : out.history) parts_.history.Ask(std::move(query));
  for (AccessCommand& command : out.access) parts_.enrol.Post(std::move(command));
  for (const std::string& warning : out.warnings) log::Warning("{}", warning);
}

void ControllerLoop::HandOver(Now now) {
  Turns::Step step = turns_.Take(std::exchange(out_, {}), now);
  for (Outbox& effects : step.release) Release(std::move(effects));
  if (step.commit) parts_.store.Commit(std::move(*step.commit));
}

std::chrono::milliseconds ControllerLoop::Idle(Now now) const {
  if (state_.plan_needed || !out_.empty()) return std::chrono::milliseconds(0);
  if (!state_.news.empty()) return std::chrono::milliseconds(10);
  const Duration left = ticked_ + kTickInterval - now.mono;
  return std::max(std::chrono::ceil<std::chrono::milliseconds>(left), std::chrono::milliseconds(0));
}

bool ControllerLoop::HandleSignals(Now now) {
  while (const int signal = daemon::NextSignal(parts_.signals)) {
    if (signal != SIGHUP) return false;
    parts_.service.Reloading(now.mono);
    parts_.reloader.Begin();
  }
  if (const auto fresh = parts_.reloader.Take()) Reload(*fresh);
  return true;
}

void ControllerLoop::Reload(const Result<ControllerConfig>& fresh) {
  if (fresh) {
    LogReload(parts_.config_file, TakeReloadable(parts_.config, *fresh));
    for (const std::string& warning : fresh->warnings) log::Warning("{}: {}", parts_.config_file, warning);
    log::SetLevel(parts_.config.log.level);
    OnSettings(state_, SettingsOf(parts_.config));
    parts_.store.KeepEvents(parts_.config.event_days);
    parts_.disk.SetLow(parts_.config.disk_low_bytes);
    parts_.repositories.SetLimits(parts_.config.repos_timeout, parts_.config.repos_allow);
  } else {
    log::Error("the configuration stays as it is, for the file is wrong: {}", fresh.error().message);
  }
  if (const Status opened = log::Redirect(parts_.config.log.file); !opened) log::Error("{}", opened.error().message);
  parts_.service.Ready();
}

Status ControllerLoop::Run() {
  CheckDisk();
  parts_.service.Ready();
  for (;;) {
    const Now now = parts_.clock.Read();
    state_.behind = turns_.Behind(now, state_.settings.heartbeat);
    DrainFrames(now);
    FURROW_TRY(DrainEvents(now));
    if (now.mono - ticked_ >= kTickInterval) {
      ticked_ = now.mono;
      CheckDisk();
      OnTick(state_, out_, now);
      if (parts_.service.present()) parts_.service.Say(StatusLine(state_));
    }
    const Duration patience = parts_.service.Alive(now.mono);
    EndTurn(state_, out_, now);
    HandOver(now);
    if (!HandleSignals(now)) break;
    poller_.Wait(std::min(Idle(now), std::chrono::ceil<std::chrono::milliseconds>(patience)));
  }
  parts_.service.Stopping();
  return {};
}

}  // namespace furrow
