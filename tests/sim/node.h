// The parts of a simulated farm that have a life of their own.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "agent/reactor/turns.h"
#include "agent/state/outbox.h"
#include "agent/state/state.h"
#include "controller/reactor/outbox.h"
#include "controller/reactor/turns.h"
#include "controller/state/state.h"
#include "tests/sim/world.h"

namespace furrow::sim {

// The link and the process of an agent; everything of it goes with the process.
struct AgentProcess {
  AgentState state;
  AgentOutbox out;
  AgentTurns turns;
  std::vector<std::function<void(AgentState&, AgentOutbox&)>> waiting;  // events, while it is stopped
  std::set<AttemptRef> preparing;                                       // the workspace is at it
  std::map<AttemptRef, bool> following;         // the uploader is at it; true: it has told the metrics
  std::map<AttemptRef, std::uint64_t> sealing;  // logs whose seal waits for the controller → length
};

inline constexpr std::uint32_t kCpuMilli = 2000;  // of each machine

// A machine.
struct World::Node {
  std::string name;
  Uuid incarnation;                     // of the state folder
  PeerId peer = 0;                      // of the present connection
  std::unique_ptr<AgentProcess> agent;  // null while it is down
  std::uint64_t life = 0;               // of the agent's process
  Duration cut_until{};                 // the link is dead until then
  Duration stopped_until{};             // the agent's process is stopped until then
  std::optional<TimePoint> lease;       // in the agent's file

  std::uint64_t runner_life = 0;
  bool runner_up = true;
  std::map<AttemptRef, runner::Attempt> table;  // the runner's journal
  bool runner_holds = true;                     // false: one from before it could
  std::map<AttemptRef, std::size_t> processes;  // running attempts → index into World::executions_
  std::map<AttemptRef, runner::Start> held;     // those that wait for another
  std::optional<TimePoint> runner_lease;        // as the runner was told; it forgets it when it dies
  bool runner_ending = false;                   // it was told to shut down

  std::map<std::string, AttemptRef> files;  // workspaces and spools that are not empty → whose they are
  std::set<AttemptRef> outputs;             // whose workspaces hold their artifacts
};

struct World::Controller {
  State state;
  Outbox out;
  Turns turns;
  std::vector<Turn> waiting;  // handed over to the store, not durable
  bool committing = false;
};

}  // namespace furrow::sim
