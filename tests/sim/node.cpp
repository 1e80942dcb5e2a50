#include "tests/sim/node.h"

#include <algorithm>

#include "agent/reactor.h"
#include "common/check.h"
#include "common/hash.h"
#include "controller/dispatcher.h"
#include "controller/reactor.h"

namespace furrow::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

template <class... F>
struct Overloaded : F... {
  using F::operator()...;
};

}  // namespace

// ---- the agent's process -------------------------------------------------------------------------------

void World::StartAgent(Node& node) {
  if (node.agent) return;
  node.agent = std::make_unique<AgentProcess>();
  ++node.life;
  node.peer = ++last_peer_;
  AgentState& state = node.agent->state;
  state.incarnation = node.incarnation;
  state.offer.cpu_milli = 2000;
  state.offer.memory_bytes = 1ull << 30;
  state.settings.host = node.name;
  state.settings.state_folder = "/state";
  state.settings.seed = std::hash<std::string>{}(node.name);
  state.settings.kill_grace = seconds(1);
  state.lease_until = node.lease;
  RunnerRequest(node, runner::List{});
  TickAgent(node);
}

void World::KillAgent(Node& node) {
  node.agent.reset();
  node.sealing.clear();
  ++node.life;
}

void World::TickAgent(Node& node) {
  At(milliseconds(100), [this, &node, life = node.life] {
    if (!node.agent || node.life != life) return;
    AgentTurn(node, [=, this](AgentState& state, AgentOutbox& out) { OnTick(state, out, Clock()); });
    TickAgent(node);
  });
}

void World::AgentTurn(Node& node, const std::function<void(AgentState&, AgentOutbox&)>& event) {
  if (time_ < node.stopped_until) {  // the process is stopped; the event waits for it
    At(node.stopped_until - time_ + milliseconds(1), [this, &node, life = node.life, event] {
      if (node.agent && node.life == life) AgentTurn(node, event);
    });
    return;
  }
  AgentProcess& process = *node.agent;
  event(process.state, process.out);
  OnTick(process.state, process.out, Clock());
  process.state.CheckInvariants();
  AgentOutbox out = std::exchange(process.out, {});
  if (out.lease_until) {
    node.lease = out.lease_until;
    CheckLease(node);
  }
  for (const runner::Request& request : out.runner) RunnerRequest(node, request);
  for (const WorkspaceCommand& command : out.workspace) {
    const auto* prepare = std::get_if<Prepare>(&command);
    if (prepare == nullptr) continue;
    At(Between(milliseconds(1), milliseconds(500)), [this, &node, life = node.life, attempt = prepare->attempt] {
      if (!node.agent || node.life != life) return;
      AgentTurn(node, [=, this](AgentState& state, AgentOutbox& effects) {
        OnWorkspaceEvent(state, effects, Clock(), Prepared{attempt});
      });
    });
  }
  for (const UploadCommand& command : out.uploads) Upload(node, command);
  for (const AgentMessage& message : out.to_controller) ToController(node, message);
}

// ---- its runner -----------------------------------------------------------------------------------------------

void World::TellAgent(Node& node, runner::Event event) {
  At(milliseconds(1), [this, &node, life = node.life, event = std::move(event)] {
    if (!node.agent || node.life != life) return;
    AgentTurn(node, [=, this](AgentState& state, AgentOutbox& out) {
      std::visit(Overloaded{
                     [&](const runner::Started& started) { OnRunnerStarted(state, out, Clock(), started); },
                     [&](const runner::Exited& exited) { OnRunnerExited(state, out, Clock(), exited); },
                     [&](const runner::Listing& listing) { OnListing(state, out, Clock(), listing); },
                 },
                 event);
    });
  });
}

void World::RunnerRequest(Node& node, const runner::Request& request) {
  std::visit(Overloaded{
                 [&](const runner::Start& start) {
                   const auto known = node.table.find(start.ref);
                   if (known == node.table.end()) {
                     runner::Attempt attempt;
                     attempt.ref = start.ref;
                     attempt.running = true;
                     attempt.started = Clock().wall;
                     attempt.blob = start.blob;
                     node.table[start.ref] = attempt;
                     node.processes[start.ref] = executions_.size();
                     executions_.push_back({start.ref, node.name, time_, std::nullopt});
                     const bool fails = start.steps.front().argv.front() == "/bin/false";
                     const Duration takes =
                         Chance() < 0.7 ? Between(milliseconds(1), milliseconds(50)) : Between(seconds(1), seconds(40));
                     At(takes, [this, &node, runner_life = node.runner_life, ref = start.ref, fails] {
                       if (node.runner_life == runner_life)
                         EndProcess(node, ref, runner::OutcomeKind::kExited, fails ? 1 : 0);
                     });
                   } else if (!known->second.running) {
                     TellAgent(node, known->second.exited);
                     return;
                   }
                   TellAgent(node, runner::Started{start.ref, 1, node.table[start.ref].started});
                 },
                 [&](const runner::Kill& kill) {
                   At(Between(milliseconds(1), seconds(1)),
                      [this, &node, runner_life = node.runner_life, ref = kill.ref] {
                        if (node.runner_life == runner_life) EndProcess(node, ref, runner::OutcomeKind::kKilled, 0);
                      });
                 },
                 [&](const runner::Forget& forget) {
                   const auto it = node.table.find(forget.ref);
                   if (it != node.table.end() && !it->second.running) node.table.erase(it);
                 },
                 [&](const runner::List&) {
                   runner::Listing listing;
                   for (const auto& [ref, attempt] : node.table) listing.attempts.push_back(attempt);
                   TellAgent(node, listing);
                 },
                 [](const auto&) {},
             },
             request);
}

void World::EndProcess(Node& node, AttemptRef attempt, runner::OutcomeKind kind, int code) {
  const auto process = node.processes.find(attempt);
  if (process == node.processes.end()) return;
  executions_[process->second].until = time_;
  node.processes.erase(process);
  runner::Attempt& entry = node.table.at(attempt);
  entry.running = false;
  entry.exited.ref = attempt;
  entry.exited.outcome = {kind, code, ""};
  entry.exited.started = entry.started;
  entry.exited.ended = Clock().wall;
  entry.exited.spool_bytes = Raw(attempt.job) % 3;
  TellAgent(node, entry.exited);
}

void World::KillRunner(Node& node) {
  ++node.runner_life;
  const std::map<AttemptRef, std::size_t> lost = node.processes;
  for (const auto& [ref, index] : lost) EndProcess(node, ref, runner::OutcomeKind::kLost, 0);
  if (!node.agent) return;
  AgentTurn(node, [](AgentState& state, AgentOutbox&) { OnRunnerGone(state); });
  At(milliseconds(100), [this, &node, life = node.life] {
    if (node.agent && node.life == life) RunnerRequest(node, runner::List{});
  });
}

// The runner ends every job when the lease that it was told runs out, whatever became of the agent.
void World::CheckLease(Node& node) {
  const TimePoint lease = *node.lease;
  At(lease.since_start - time_, [this, &node, lease] {
    if (node.lease != lease) return;
    const std::map<AttemptRef, std::size_t> running = node.processes;
    for (const auto& [ref, index] : running) EndProcess(node, ref, runner::OutcomeKind::kLost, 0);
  });
}

// ---- its uploader -----------------------------------------------------------------------------------------------

void World::Upload(Node& node, const UploadCommand& command) {
  const auto tell = [this, &node](Duration delay, UploadEvent event) {
    At(delay, [this, &node, life = node.life, event = std::move(event)] {
      if (!node.agent || node.life != life) return;
      AgentTurn(node, [=, this](AgentState& state, AgentOutbox& out) { OnUploadEvent(state, out, Clock(), event); });
    });
  };
  std::visit(Overloaded{
                 [&](const Follow& follow) {
                   MetricsRead metrics{follow.attempt, 0, {}, 0};
                   for (int i = 0; i < 3; ++i) metrics.lines.push_back({i, WallTime{}, {{"loss", 1.0 / (i + 1)}}});
                   tell(Between(milliseconds(1), milliseconds(100)), metrics);
                 },
                 [&](const FinishLog& finish) {
                   if (Chance() < 0.7) {
                     const std::string bytes(finish.length, 'x');
                     tell(milliseconds(1), LogInline{finish.attempt, bytes, HashOf(bytes)});
                     return;
                   }
                   node.sealing[finish.attempt] = 5000;
                   Seal(node, finish.attempt, node.life);
                 },
                 [&](const Collect& collect) {
                   tell(Between(milliseconds(1), seconds(2)), ArtifactsCommitted{collect.attempt, HashOf("tree")});
                 },
                 [&](const Remove& remove) { node.sealing.erase(remove.attempt); },
             },
             command);
}

// Says that the log is whole, over the bulk channel, until the controller has it on record.
void World::Seal(Node& node, AttemptRef attempt, std::uint64_t life) {
  if (!node.agent || node.life != life || !node.sealing.contains(attempt)) return;
  if (controller_ && time_ >= node.cut_until && Chance() >= weather_.loss) {
    OnLogSealed(controller_->state, controller_->out, Clock(), attempt,
                LogRecord{node.sealing[attempt], HashOf("log"), {}});
    ControllerTurn();
  }
  At(seconds(1), [this, &node, attempt, life] { Seal(node, attempt, life); });
}

}  // namespace furrow::sim
