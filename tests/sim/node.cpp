#include "tests/sim/node.h"

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
  node.runner_up = true;
  RunnerRequest(node, runner::List{});
  TickAgent(node);
}

void World::KillAgent(Node& node) {
  node.agent.reset();
  ++node.life;
}

void World::TickAgent(Node& node) {
  At(milliseconds(100), [this, &node, life = node.life] {
    if (!node.agent || node.life != life) return;
    AgentTurn(node, [](AgentState&, AgentOutbox&) {});
    TickAgent(node);
  });
}

void World::AgentTurn(Node& node, const std::function<void(AgentState&, AgentOutbox&)>& event) {
  AgentProcess& process = *node.agent;
  if (time_ < node.stopped_until || !process.waiting.empty()) {  // the process is stopped; events wait in order
    process.waiting.push_back(event);
    if (process.waiting.size() == 1) Wake(node);
    return;
  }
  event(process.state, process.out);
  OnTick(process.state, process.out, Clock());
  process.state.CheckInvariants();
  const AgentOutbox out = std::exchange(process.out, {});
  if (out.lease_until) KeepLease(node, *out.lease_until);
  for (const runner::Request& request : out.runner) RunnerRequest(node, request);
  for (const WorkspaceCommand& command : out.workspace) Prepared(node, command);
  for (const UploadCommand& command : out.uploads) Upload(node, command);
  for (const AgentMessage& message : out.to_controller) ToController(node, message);
}

// The agent writes its lease down and tells the runner, which ends every job when it runs out, whatever became
// of the agent.
void World::KeepLease(Node& node, TimePoint until) {
  node.lease = until;
  if (!node.runner_up) return;
  node.runner_lease = until;
  At(until.since_start - time_, [this, &node, until, runner_life = node.runner_life] {
    if (node.runner_life != runner_life || node.runner_lease != until) return;
    node.runner_lease.reset();
    EndAll(node, {runner::OutcomeKind::kLost, 0, kLeaseOut});
  });
}

// When the process goes on it takes what has come since.
void World::Wake(Node& node) {
  At(std::max(node.stopped_until - time_, Duration{0}), [this, &node, life = node.life] {
    if (!node.agent || node.life != life) return;
    if (time_ < node.stopped_until) return Wake(node);
    for (const auto& event : std::exchange(node.agent->waiting, {})) AgentTurn(node, event);
  });
}

// As AgentLoop: slots that no attempt holds are as good as new.
void World::RemoveLeftovers(Node& node) {
  const auto& jobs = node.agent->state.jobs;
  std::erase_if(node.files, [&](const auto& file) { return !jobs.contains(file.second); });
  std::erase_if(node.outputs, [&](const AttemptRef& attempt) { return !jobs.contains(attempt); });
}

// ---- its runner -----------------------------------------------------------------------------------------------

void World::TellAgent(Node& node, runner::Event event) {
  At(milliseconds(1), [this, &node, life = node.life, runner_life = node.runner_life, event = std::move(event)] {
    if (!node.agent || node.life != life || node.runner_life != runner_life) return;
    AgentTurn(node, [this, &node, event](AgentState& state, AgentOutbox& out) {
      std::visit(Overloaded{
                     [&](const runner::Started& started) { On(state, out, Clock(), started); },
                     [&](const runner::Exited& exited) { On(state, out, Clock(), exited); },
                     [&](const runner::Listing& listing) {
                       const bool first = !state.runner_known;
                       state.runner_holds = node.runner_holds;
                       On(state, out, Clock(), listing);
                       if (first) RemoveLeftovers(node);
                     },
                 },
                 event);
    });
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
  executions_.push_back({start.ref, node.name, time_, std::nullopt, false});
  const int code = start.steps.front().argv.front() == "/bin/false" ? 1 : 0;
  const Duration takes = Happens(0.7) ? Between(milliseconds(1), milliseconds(50)) : Between(seconds(1), seconds(40));
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
                 [](const auto&) {},
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
  ++node.runner_life;  // nobody hears of it until the next one is asked
  node.runner_up = false;
  node.runner_lease.reset();
  if (!node.agent) return;
  At(Between(milliseconds(0), milliseconds(20)), [this, &node, life = node.life] {
    if (!node.agent || node.life != life) return;
    AgentTurn(node, [this, &node, life](AgentState& state, AgentOutbox& out) {
      OnRunnerGone(state);
      out.runner.clear();
      At(milliseconds(100), [this, &node, life] {
        if (!node.agent || node.life != life) return;
        node.runner_up = true;
        RunnerRequest(node, runner::List{});
      });
    });
  });
}

}  // namespace furrow::sim
