#include "agent/reactor/turns.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "agent/reactor/job_start.h"
#include "agent/reactor/jobs.h"
#include "agent/reactor/reports.h"
#include "agent/reactor/session.h"
#include "common/base/overloaded.h"
#include "schemas/agent.h"

namespace furrow {
namespace {

constexpr Duration kReportPatience = std::chrono::seconds(5);  // time for the reports of ended jobs
constexpr int kRunnerTries = 5;

bool AnyInRunner(const AgentState& state) {
  return std::any_of(state.jobs.begin(), state.jobs.end(), [](const auto& entry) { return entry.second.InRunner(); });
}

// Returns the files and folders that belong to attempts.
std::set<std::string> HeldPaths(const AgentState& state) {
  std::set<std::string> held;
  for (const auto& [ref, job] : state.jobs) {
    held.insert(WorkspaceOf(state.settings, job.slot));
    held.insert(SpoolOf(state.settings, job.slot));
    held.insert(MetricsFileOf(state.settings, job.slot));
  }
  return held;
}

}  // namespace

void AgentTurns::OnRunnerConnected(AgentOutbox& out) {
  runner_connected_ = true;
  out.runner.emplace_back(runner::List{});
}

void AgentTurns::OnRunnerEvent(AgentState& state, AgentOutbox& out, Now now, AgentPorts& ports,
                               const runner::Event& event, bool holds) {
  runner_failures_ = 0;
  std::visit(Overloaded{
                 [&](const runner::Started& started) { On(state, out, now, started); },
                 [&](const runner::Exited& exited) { On(state, out, now, exited); },
                 [&](const runner::Listing& listing) {
                   const bool first = !state.runner_known;
                   state.runner_holds = holds;
                   On(state, out, now, listing);
                   // New jobs use these slots as new, and their Starts have not left yet.
                   if (first) ports.RemoveLeftovers(HeldPaths(state));
                   if (ending()) out.runner.emplace_back(runner::Shutdown{true});  // The one before did not hear it.
                 },
             },
             event);
}

AgentTurns::AfterRunner AgentTurns::OnRunnerLost(AgentState& state, AgentOutbox& out) {
  runner_connected_ = false;
  out.runner.clear();
  OnRunnerGone(state);
  if (ending() && !AnyInRunner(state)) return AfterRunner::kLetGo;
  // The processes of a runner that died live on until the next one ends them.
  return ++runner_failures_ > kRunnerTries ? AfterRunner::kGiveUp : AfterRunner::kConnect;
}

void AgentTurns::BeginEnd(AgentState& state, AgentOutbox& out, Now now) {
  end_by_ = now.mono + state.settings.kill_grace + kReportPatience;
  OnStop(state, out, now);
  out.runner.emplace_back(runner::Shutdown{true});
}

bool AgentTurns::HasEnded(const AgentState& state, Now now, bool connected) const {
  if (!end_by_) return false;
  return state.jobs.empty() || (!AnyInRunner(state) && !connected) || now.mono >= *end_by_;
}

Duration AgentTurns::EndTurn(AgentState& state, AgentOutbox& out, Now now, AgentPorts& ports) const {
  Duration idle{};
  do {
    idle = OnTick(state, out, now);
    CarryOut(state, out, now, ports);
  } while (!out.empty());
  return idle;
}

// Leaves in `out` what the reactor wants because an effect could not be carried out.
void AgentTurns::CarryOut(AgentState& state, AgentOutbox& out, Now now, AgentPorts& ports) const {
  AgentOutbox leaving = std::exchange(out, {});
  // A process that starts after a crash must not believe in a longer lease than its runner, nor in none at all.
  if (leaving.lease_until) ports.KeepLease(*leaving.lease_until);
  // The runner comes before the controller: what the controller hears of a job has been asked for.
  if (runner_connected_) TellRunner(state, out, now, ports, leaving);
  for (WorkspaceCommand& command : leaving.workspace) ports.TellWorkspace(std::move(command));
  for (UploadCommand& command : leaving.uploads) ports.TellUploader(std::move(command));
  for (const AgentMessage& message : leaving.to_controller) {
    const auto frame = Encode(message);
    if (!frame) {
      ports.Complain(frame.error().message);
      OnUnsendable(state, out, now, message, frame.error().message);
    } else if (!ports.TellController(*frame)) {
      break;  // Everything that matters is sent again.
    }
  }
}

void AgentTurns::TellRunner(AgentState& state, AgentOutbox& next, Now now, AgentPorts& ports, const AgentOutbox& out) {
  const auto tell = [&](const runner::Request& request) {
    const Status told = ports.TellRunner(request);
    if (told) return;
    ports.Complain("runner: " + told.error().message);
    if (const auto* start = std::get_if<runner::Start>(&request))
      OnStartRefused(state, next, now, start->ref, told.error().message);
  };
  // The lease comes first: a job that the runner starts has a limit from its first moment on.
  if (out.lease_until) {
    const TimePoint kill = *out.lease_until + state.lease_grace;
    tell(runner::Lease{static_cast<std::uint64_t>(out.lease_until->since_start.count()),
                       static_cast<std::uint64_t>(kill.since_start.count())});
  }
  for (const runner::Request& request : out.runner) tell(request);
  if (out.lease_until || !out.runner.empty()) ports.FlushRunner();
}

}  // namespace furrow
