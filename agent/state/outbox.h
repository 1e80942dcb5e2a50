// What a turn of the agent's loop wants done: collected by the reactor, carried out by main in this order.
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
  std::optional<TimePoint> lease_until;  // the lease was renewed: tell the runner, which ends the jobs if we cannot

  bool empty() const {
    return runner.empty() && workspace.empty() && uploads.empty() && to_controller.empty() && !lease_until;
  }
};

}  // namespace furrow
