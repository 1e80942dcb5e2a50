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
constexpr std::size_t kBytesATurn = 16u << 20;
constexpr std::size_t kMostAnswerBytes = 16u << 20;  // of one client, while the disk is slow
constexpr Duration kTickInterval = std::chrono::milliseconds(250);
constexpr Duration kReadersWait = std::chrono::milliseconds(500);  // for what is not durable yet

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
    : parts_(parts),
      state_(std::move(state)),
      out_(std::move(first)),
      outgoing_([this](PeerId peer, std::string_view frame) { return parts_.control.Send(peer, frame); }) {
  poller_.Add(parts_.control);
  poller_.AddFd(parts_.events.fd());
  poller_.AddFd(parts_.signals);
  poller_.AddFd(parts_.reloader.fd());
}

void ControllerLoop::DrainFrames(Now now) {
  std::size_t bytes = 0;
  for (int i = 0; i < kFramesATurn && bytes < kBytesATurn; ++i) {
    const std::optional<Incoming> frame = parts_.control.Receive();
    if (!frame) return;
    bytes += frame->payload.size();
    if (!intake_.Admits(now.mono, frame->who, frame->payload.size())) {
      log::WarningOf(frame->who.name, "{} sends more on the control channel than is read; the rest is dropped",
                     frame->who.name);
      continue;
    }
    const Status status = Dispatch(state_, out_, now, *frame);
    if (status) continue;
    if (status.error().code == Errc::kInvalid && frame->who.role == Role::kAgent)
      log::WarningOf(frame->who.name, "{}: {}", frame->who.name, status.error().message);
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
    refusing = "the controller's disk is " + std::string(DiskHealthName(health)) + " (" + InWords(parts_.disk.Free()) +
               " in " + parts_.disk.Fullest().string() + "); free space on it, nothing need be restarted";
  if (refusing.empty() != state_.refusing.empty())
    refusing.empty() ? log::Info("the disk has space again; work is accepted")
                     : log::Error("no new work is accepted: {}", refusing);
  state_.refusing = std::move(refusing);
}

// Sends the messages that may leave now. A message that cannot be delivered is not an error, because the protocol
// repeats every message that matters.
void ControllerLoop::Release(Outbox out) {
  const TimePoint now = parts_.clock.Read().mono;
  // The bulk channel comes first, because it must know an attempt before the agent does.
  for (BulkCommand& command : out.bulk) parts_.bulk.Post(std::move(command));
  for (const AgentSend& send : out.to_agents) {
    if (auto frame = Encode(send.message)) {
      outgoing_.Send(now, send.peer, std::move(*frame));
    } else {
      log::Error("{}", frame.error().message);
      OnUnsendable(state_, out_, parts_.clock.Read(), send, frame.error().message);
    }
  }
  for (const ClientSend& send : out.to_clients) outgoing_.Send(now, send.asker.peer, EncodeAnswer(send));
  ForgetDropped();
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

void ControllerLoop::ForgetDropped() {
  for (const PeerId peer : outgoing_.TakeDropped()) ForgetClient(state_, peer);
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
  const auto idle = std::max(std::chrono::ceil<std::chrono::milliseconds>(left), std::chrono::milliseconds(0));
  return std::min(idle, outgoing_.Patience().value_or(idle));
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
    state_.crowded = turns_.Crowded(kMostAnswerBytes);
    state_.behind = turns_.Behind(now, state_.settings.heartbeat);
    if (const bool stalled = turns_.Behind(now, kReadersWait); stalled != state_.stalled)
      OnStalled(state_, out_, stalled, stalled ? turns_.TakeReaders() : Outbox{});
    DrainFrames(now);
    FURROW_TRY(DrainEvents(now));
    if (now.mono - ticked_ >= kTickInterval) {
      ticked_ = now.mono;
      CheckDisk();
      log::TellKeptBack();
      OnTick(state_, out_, now);
      if (parts_.service.present()) parts_.service.Say(StatusLine(state_));
    }
    const Duration patience = parts_.service.Alive(now.mono);
    EndTurn(state_, out_, now);
    HandOver(now);
    if (!HandleSignals(now)) break;
    outgoing_.Flush(now.mono);
    ForgetDropped();
    poller_.Wait(std::min(Idle(now), std::chrono::ceil<std::chrono::milliseconds>(patience)));
  }
  parts_.service.Stopping();
  return {};
}

}  // namespace furrow
