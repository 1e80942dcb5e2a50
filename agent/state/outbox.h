// Holds the effects of one turn of the agent's loop: the reactor collects them, the loop carries them out in the order
// of the fields.
#pragma once

#include <optional>
#include <vector>

#include "agent/runner/protocol.h"
#include "agent/state/effects.h"
#include "common/base/clock.h"
#include "schemas/agent.h"

namespace furrow {

struct AgentOutbox {
  std::vector<runner::Request> runner;
  std::vector<WorkspaceCommand> workspace;
  std::vector<UploadCommand> uploads;
  std::vector<AgentMessage> to_controller;
  // The renewed lease, for the runner, which ends the jobs if the agent cannot.
  std::optional<TimePoint> lease_until;

  bool empty() const {
    return runner.empty() && workspace.empty() && uploads.empty() && to_controller.empty() && !lease_until;
  }
};

}  // namespace furrow
