#include <algorithm>

#include "controller/reactor/reactor.h"
#include "tests/sim/node.h"

namespace furrow::sim {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::size_t kCheckedATurn = 100;  // jobs

// Whoever starts the controller anew may have changed the lease.
Settings SimSettings(std::uint64_t life) {
  Settings settings;
  settings.heartbeat = seconds(2);
  settings.lease = life % 2 == 0 ? seconds(30) : seconds(10);
  settings.repository_poll = seconds(10);
  settings.prefetch = seconds(60);  // jobs of this world are slow, and some are to be held all the same
  return settings;
}

}  // namespace

void World::StartController() {
  controller_ = std::make_unique<Controller>();
  Restored restored = disk_.Load([this] { return Happens(weather_.unreadable); });
  controller_->state = RestoreState(SimSettings(controller_life_), std::move(restored), Clock(), controller_->out);
  LookAtDisk();
  ControllerTurn();
  TickController();
  for (const auto& [run, watching] : watching_)  // their connections went with the old one
    if (!watching.ended) WatchRun(run);
}

void World::KillController() {
  controller_.reset();
  ++controller_life_;
  At(Between(milliseconds(50), seconds(5)), [this] { StartController(); });
}

void World::TickController() {
  At(milliseconds(250), [this, life = controller_life_] {
    if (!controller_ || life != controller_life_) return;
    LookAtDisk();
    OnTick(controller_->state, controller_->out, Clock());
    ControllerTurn();
    TickController();
  });
}

// As ControllerLoop::CheckDisk.
void World::LookAtDisk() {
  controller_->state.refusing = time_ < disk_full_until_ ? "the controller's disk is full" : "";
}

void World::ControllerTurn() {
  controller_->state.behind = controller_->turns.Behind(Clock(), controller_->state.settings.heartbeat);
  EndTurn(controller_->state, controller_->out, Clock());
  // The check takes as long as there are jobs: in large farms it is made less often.
  if (disk_.jobs().size() <= ++unchecked_ * kCheckedATurn) {
    controller_->state.CheckInvariants();
    unchecked_ = 0;
  }
  HandOver();
}

// Plays ControllerLoop, with its own Turns, and the store's writer: turns that wait while a commit is under way are
// committed together.
void World::HandOver() {
  Controller& controller = *controller_;
  Turns::Step step = controller.turns.Take(std::exchange(controller.out, {}), Clock());
  if (step.commit) controller.waiting.push_back(std::move(*step.commit));
  for (const Outbox& effects : step.release) Release(effects, false);
  BeginCommit();
}

void World::BeginCommit() {
  Controller& controller = *controller_;
  if (controller.committing || controller.waiting.empty()) return;
  controller.committing = true;
  const Duration takes = Between(microseconds(50), milliseconds(3));
  At(std::max(takes, disk_stands_until_ - time_), [this, life = controller_life_] {
    if (controller_ && life == controller_life_) Commit();
  });
}

void World::Commit() {
  if (Happens(weather_.commit_crash)) return KillController();
  const std::vector<Turn> turns = std::exchange(controller_->waiting, {});
  controller_->committing = false;
  Committed committed{turns.back().number, {}};
  if (Happens(weather_.commit_fail)) committed.status = Fail(Errc::kInternal, "the disk has an I/O error");
  // Nobody knows what a commit that failed has left on the disk: all of it or nothing.
  if (committed.status || Happens(0.5)) {
    for (const Turn& turn : turns) {
      CheckTurn(turn);
      disk_.Apply(turn);
    }
  }
  const auto released = controller_->turns.OnCommitted(committed);
  if (!released) return KillController();  // as ControllerLoop::Run, which returns the error
  for (const Outbox& effects : *released) {
    Release(effects, Happens(weather_.commit_crash));
    if (!controller_) return;
  }
  BeginCommit();
}

// Sends what a turn wants sent; all of it or, where the controller dies midway, its first part.
void World::Release(const Outbox& out, bool dies_midway) {
  const std::size_t all = out.bulk.size() + out.to_agents.size() + out.to_clients.size();
  std::size_t left =
      dies_midway ? static_cast<std::size_t>(Between(Duration{0}, Duration{static_cast<int>(all)}).count()) : all;
  for (const BulkCommand& command : out.bulk) {
    if (left == 0) break;
    --left;
    if (const auto* durable = std::get_if<BulkSealDurable>(&command)) TellSealed(durable->attempt);
  }
  for (const AgentSend& send : out.to_agents) {
    if (left == 0) break;
    --left;
    CheckSend(send);
    ToAgentNode(send.peer, send.message);
  }
  for (const ClientSend& send : out.to_clients) {
    if (left == 0) break;
    --left;
    TakeAnswer(send);
  }
  if (dies_midway) return KillController();
  for (const PrepareSubmission& submission : out.submissions) PrepareFileOf(submission);
  for (const RepositoryCommand& command : out.repositories) Git(command);
  for (const HistoryQuery& query : out.history) AnswerFromHistory(query);
}

}  // namespace furrow::sim
