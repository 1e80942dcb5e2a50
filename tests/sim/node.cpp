#include "tests/sim/node.h"

#include <algorithm>

#include "agent/reactor/reactor.h"
#include "common/base/overloaded.h"

namespace furrow::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

}  // namespace

// ---- the agent's process -------------------------------------------------------------------------------

void World::StartAgent(Node& node) {
  if (node.agent) return;
  node.agent = std::make_unique<AgentProcess>();
  ++node.life;
  node.peer = ++last_peer_;
  AgentState& state = node.agent->state;
  state.incarnation = node.incarnation;
  state.identity = {{1, std::hash<std::string>{}(node.name)}, {2, 1}, {3, node.peer}};
  state.offer.cpu_milli = kCpuMilli;
  state.offer.memory_bytes = 1ull << 30;
  state.settings.host = node.name;
  state.settings.state_folder = "/state";
  state.settings.seed = std::hash<std::string>{}(node.name);
  state.settings.kill_grace = seconds(1);
  state.lease_until = node.lease;
  node.stopped_until = {};
  ConnectRunner(node, node.agent->out);
  TickAgent(node);
}

void World::KillAgent(Node& node) {
  node.agent.reset();
  ++node.life;
}

void World::RestartAgent(Node& node, Duration longest) {
  KillAgent(node);
  At(Between(milliseconds(50), longest), [this, &node] { StartAgent(node); });
}

void World::TickAgent(Node& node) {
  At(milliseconds(100), [this, &node, life = node.life] {
    if (!node.agent || node.life != life) return;
    AgentTurn(node, [](AgentState&, AgentOutbox&) {});
    TickAgent(node);
  });
}

// Stands behind the loop's own AgentTurns. With `left` effects to go the process dies.
class World::AgentPort final : public AgentPorts {
 public:
  AgentPort(World& world, Node& node, std::optional<int> left) : world_(world), node_(node), left_(left) {}

  bool dead() const { return left_ == 0; }

  void KeepLease(TimePoint until) override {
    if (Lives()) node_.lease = until;
  }
  Status TellRunner(const runner::Request& request) override {
    std::string frame;
    FURROW_TRY(std::visit([&](const auto& one) { return runner::AppendFrame(one, frame); }, request));
    if (Lives()) world_.RunnerRequest(node_, request);
    return {};
  }
  void FlushRunner() override {}
  void TellWorkspace(WorkspaceCommand command) override {
    if (Lives()) world_.Prepared(node_, command);
  }
  void TellUploader(UploadCommand command) override {
    if (Lives()) world_.Upload(node_, command);
  }
  bool TellController(const std::string& frame) override {
    if (Lives()) world_.ToController(node_, frame);
    return !world_.Happens(world_.weather_.channel_full);
  }
  void RemoveLeftovers(const std::set<std::string>& held) override {
    if (!Lives()) return;
    std::erase_if(node_.files, [&](const auto& file) {
      if (held.contains(file.first)) return false;
      if (node_.processes.contains(file.second)) world_.Breach("a running job's slot is removed: " + file.first);
      node_.outputs.erase(file.second);
      return true;
    });
  }
  void Complain(const std::string& what) override { world_.Breach("an agent cannot say what it wants: " + what); }

 private:
  bool Lives() {
    if (dead()) return false;
    if (left_) --*left_;
    return !dead();
  }

  World& world_;
  Node& node_;
  std::optional<int> left_;
};

void World::AgentTurn(Node& node, const std::function<void(AgentState&, AgentOutbox&)>& event) {
  AgentProcess& process = *node.agent;
  if (time_ < node.stopped_until || !process.waiting.empty()) {  // the process is stopped; events wait in order
    process.waiting.push_back(event);
    if (process.waiting.size() == 1) Wake(node);
    return;
  }
  event(process.state, process.out);
  std::optional<int> left;
  if (!process.out.empty() && Happens(weather_.agent_turn_crash))
    left = static_cast<int>(Between(Duration{1}, Duration{6}).count());
  AgentPort port(*this, node, left);
  process.turns.EndTurn(process.state, process.out, Clock(), port);
  if (port.dead()) return RestartAgent(node, seconds(5));
  process.state.CheckInvariants();
  if (process.turns.HasEnded(process.state, Clock(), controller_ && time_ >= node.cut_until))
    RestartAgent(node, seconds(50));
}

// When the process goes on it takes what has come since.
void World::Wake(Node& node) {
  At(std::max(node.stopped_until - time_, Duration{0}), [this, &node, life = node.life] {
    if (!node.agent || node.life != life) return;
    if (time_ < node.stopped_until) return Wake(node);
    for (const auto& event : std::exchange(node.agent->waiting, {})) {
      AgentTurn(node, event);
      if (!node.agent || node.life != life) return;  // it died of it
    }
  });
}

// ---- its runner -----------------------------------------------------------------------------------------------

void World::TellAgent(Node& node, runner::Event event) {
  At(milliseconds(1), [this, &node, life = node.life, runner_life = node.runner_life, event = std::move(event)] {
    if (!node.agent || node.life != life || node.runner_life != runner_life) return;
    AgentTurn(node, [this, &node, event](AgentState& state, AgentOutbox& out) {
      AgentPort port(*this, node, std::nullopt);
      node.agent->turns.OnRunnerEvent(state, out, Clock(), port, event, node.runner_holds);
    });
  });
}

// The runner ends every job when its lease runs out, whatever became of the agent.
void World::OnLease(Node& node, TimePoint until) {
  node.runner_lease = until;
  At(until.since_start - time_, [this, &node, until, runner_life = node.runner_life] {
    if (node.runner_life != runner_life || node.runner_lease != until) return;
    node.runner_lease.reset();
    EndAll(node, {runner::OutcomeKind::kLost, 0, kLeaseOut});
  });
}

void World::StartProcess(Node& node, const runner::Start& start) {
  CheckStart(start.ref);
  for (const std::string& path : {start.workspace, start.spool})
    if (node.files.emplace(path, start.ref).first->second != start.ref)
      Breach("a job starts in another's slot: " + path);
  CheckDevices(node, start.ref);
  node.held.erase(start.ref);
  node.table[start.ref].held_for.reset();
  node.table[start.ref].started = Clock().wall;
  node.processes[start.ref] = executions_.size();
  executions_of_[start.ref.job].push_back(executions_.size());
  executions_.push_back({start.ref, node.name, time_, std::nullopt, false});
  const int code = start.steps.front().argv.front() == "/bin/false" ? 1 : 0;
  const Duration takes =
      quick_ || Happens(0.7) ? Between(milliseconds(1), milliseconds(50)) : Between(seconds(1), seconds(40));
  At(takes, [this, &node, runner_life = node.runner_life, ref = start.ref, code] {
    if (node.runner_life == runner_life) EndProcess(node, ref, {runner::OutcomeKind::kExited, code, ""});
  });
  TellAgent(node, runner::Started{start.ref, 1, node.table[start.ref].started});
}

void World::OnStart(Node& node, const runner::Start& start) {
  if (start.after && !node.runner_holds) Breach("a runner is told to hold a job and does not know how");
  const auto known = node.table.find(start.ref);
  if (known == node.table.end()) {
    runner::Attempt attempt;
    attempt.ref = start.ref;
    attempt.running = true;
    attempt.started = Clock().wall;
    attempt.blob = start.blob;
    const bool held = start.after && (node.processes.contains(*start.after) || node.held.contains(*start.after));
    if (held) attempt.held_for = start.after;
    node.table[start.ref] = attempt;
    if (!held) return StartProcess(node, start);
    node.held[start.ref] = start;
  } else if (known->second.held_for) {
    if (!start.after) StartProcess(node, start);
  } else if (known->second.running) {
    TellAgent(node, runner::Started{start.ref, 1, known->second.started});
  } else {
    TellAgent(node, known->second.exited);
  }
}

void World::RunnerRequest(Node& node, const runner::Request& request) {
  if (!node.runner_up) return;  // it died and nobody has noticed yet
  if (node.runner_ending && std::holds_alternative<runner::Start>(request)) return;
  std::visit(Overloaded{
                 [&](const runner::Start& start) { OnStart(node, start); },
                 [&](const runner::Kill& kill) {
                   At(Between(milliseconds(1), seconds(1)),
                      [this, &node, runner_life = node.runner_life, ref = kill.ref, reason = kill.reason] {
                        if (node.runner_life == runner_life)
                          EndProcess(node, ref, {runner::OutcomeKind::kKilled, 0, reason});
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
                 [&](const runner::Lease& lease) {
                   OnLease(node, TimePoint{Duration{static_cast<std::int64_t>(lease.until_ns)}});
                 },
                 [&](const runner::Shutdown&) { ShutDownRunner(node); },
             },
             request);
}

void World::EndProcess(Node& node, AttemptRef attempt, const runner::Outcome& outcome) {
  const auto process = node.processes.find(attempt);
  if (process != node.processes.end()) {
    Execution& execution = executions_[process->second];
    execution.until = time_;
    execution.succeeded = outcome.Passed();
    if (execution.succeeded) node.outputs.insert(attempt);
    node.processes.erase(process);
  } else if (node.held.erase(attempt) == 0) {
    return;
  }
  runner::Attempt& entry = node.table.at(attempt);
  entry.running = false;
  entry.held_for.reset();
  entry.exited.ref = attempt;
  entry.exited.outcome = outcome;
  entry.exited.started = entry.started;
  entry.exited.ended = Clock().wall;
  entry.exited.spool_bytes = Raw(attempt.job) % 3;
  TellAgent(node, entry.exited);
  std::vector<runner::Start> successors;
  for (const auto& [ref, start] : node.held)
    if (start.after == attempt) successors.push_back(start);
  for (const runner::Start& successor : successors) StartProcess(node, successor);
}

// Everything that the runner has and that is not over, what is held first: nothing must start meanwhile.
void World::EndAll(Node& node, const runner::Outcome& outcome) {
  std::vector<AttemptRef> all;
  for (const auto& [ref, start] : node.held) all.push_back(ref);
  for (const auto& [ref, index] : node.processes) all.push_back(ref);
  for (const AttemptRef& ref : all) EndProcess(node, ref, outcome);
}

// The runner dies; the next one, started when the agent notices, ends what is left of its jobs.
void World::KillRunner(Node& node) {
  if (!node.runner_up) return;
  EndAll(node, {runner::OutcomeKind::kLost, 0, "the runner died"});
  LoseRunner(node);
}

// The runner ends its jobs, and itself when the agent was told of them all.
void World::ShutDownRunner(Node& node) {
  if (std::exchange(node.runner_ending, true)) return;
  At(Between(milliseconds(1), seconds(1)), [this, &node, runner_life = node.runner_life] {
    if (node.runner_life != runner_life) return;
    EndAll(node, {runner::OutcomeKind::kKilled, 0, "the runner was shut down"});
    At(milliseconds(2), [this, &node, runner_life] {
      if (node.runner_life == runner_life) LoseRunner(node);
    });
  });
}

// The runner's process is gone, and the agent notices.
void World::LoseRunner(Node& node) {
  ++node.runner_life;  // nobody hears of what it did last until the next one is asked
  node.runner_up = false;
  node.runner_ending = false;
  node.runner_lease.reset();
  if (!node.agent) return;
  At(Between(milliseconds(0), milliseconds(20)), [this, &node, life = node.life] {
    if (!node.agent || node.life != life) return;
    AgentTurn(node, [this, &node](AgentState& state, AgentOutbox& out) {
      const auto after = node.agent->turns.OnRunnerLost(state, out);
      if (after == AgentTurns::AfterRunner::kConnect) ConnectRunner(node, out);
      if (after == AgentTurns::AfterRunner::kGiveUp) Breach(node.name + " gives up its runner");
    });
  });
}

// Starts a runner if none is there.
void World::ConnectRunner(Node& node, AgentOutbox& out) {
  node.runner_up = true;
  node.agent->turns.OnRunnerConnected(out);
}

}  // namespace furrow::sim
