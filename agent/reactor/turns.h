// Decides what leaves an agent, when and in which order, and what becomes of its runner. The loop and the simulator
// both run this code; they differ in nothing but what stands behind AgentPorts.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/runner/protocol.h"
#include "agent/state/effects.h"
#include "agent/state/outbox.h"
#include "agent/state/state.h"
#include "common/base/clock.h"
#include "common/base/error.h"

namespace furrow {

// Carries out the effects of a turn; AgentTurns calls it in the order that the effects must have.
class AgentPorts {
 public:
  virtual ~AgentPorts() = default;

  // Writes the lease where the agent's next process reads it.
  virtual void KeepLease(TimePoint until) = 0;
  // kInvalid: the request is too large for the runner. A lost connection is no error here; OnRunnerLost follows it.
  virtual Status TellRunner(const runner::Request& request) = 0;
  // Follows the last request of a turn.
  virtual void FlushRunner() = 0;
  virtual void TellWorkspace(WorkspaceCommand command) = 0;
  virtual void TellUploader(UploadCommand command) = 0;
  // false: the connection takes nothing more in this turn.
  virtual bool TellController(const std::string& frame) = 0;
  // Removes what earlier processes left in workspaces, spools and metrics files, except for the paths in `held`.
  virtual void RemoveLeftovers(const std::set<std::string>& held) = 0;
  // Tells the log of an effect that could not be carried out, which is a fault of the code that asked for it.
  virtual void Complain(const std::string& what) = 0;
};

class AgentTurns {
 public:
  enum class AfterRunner : std::uint8_t {
    kConnect,  // Start a runner and connect to it.
    kGiveUp,   // Runners end again and again: the machine is at fault.
    kLetGo,    // The runner has carried out its Shutdown.
  };

  // A connection to a runner stands: it is asked for its table. What earlier runners were to hear is gone.
  void OnRunnerConnected(AgentOutbox& out);
  // Brings events of the runner to the reactor. `holds`: the runner's Hello says so.
  void OnRunnerEvent(AgentState& state, AgentOutbox& out, Now now, AgentPorts& ports, const runner::Event& event,
                     bool holds);
  // The connection to the runner is lost. Requests that have not left are dropped, since the next Listing brings them
  // about again.
  AfterRunner OnRunnerLost(AgentState& state, AgentOutbox& out);

  // Ends the jobs and the runner, and gives their reports some time to reach the controller.
  void BeginEnd(AgentState& state, AgentOutbox& out, Now now);
  bool ending() const { return end_by_.has_value(); }
  // `connected`: the controller can be reached.
  bool HasEnded(const AgentState& state, Now now, bool connected) const;

  // Ends a turn: lets time pass for the reactor and carries out the effects in `out`, also those of effects that could
  // not be carried out. Returns the time until the next call is due.
  Duration EndTurn(AgentState& state, AgentOutbox& out, Now now, AgentPorts& ports) const;

 private:
  void CarryOut(AgentState& state, AgentOutbox& out, Now now, AgentPorts& ports) const;
  static void TellRunner(AgentState& state, AgentOutbox& next, Now now, AgentPorts& ports, const AgentOutbox& out);

  bool runner_connected_ = false;
  int runner_failures_ = 0;          // connections in a row that brought no event
  std::optional<TimePoint> end_by_;  // A value means: the jobs are being ended, and reported until then.
};

}  // namespace furrow
