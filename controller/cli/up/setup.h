// The files of a farm on one machine: configuration and keys of a controller and its agents, all in one folder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "common/base/error.h"

namespace furrow::cli {

struct FarmPlan {
  std::filesystem::path state;     // the controller's; agents in <state>/agents/agent-1 …
  std::filesystem::path programs;  // the folder of furrow-controller and furrow-agent
  std::uint32_t agents = 1;
  std::uint16_t control_port = 0;
  std::uint16_t bulk_port = 0;
  std::uint16_t enrol_port = 0;
};

// One daemon: how it is started and where its output goes.
struct DaemonPlan {
  std::string name;  // "controller", "agent-1"
  std::vector<std::string> argv;
  std::filesystem::path log;
  std::filesystem::path folder;  // its state
};

// Writes <state>/controller.yaml and <state>/agents/*/agent.yaml, makes the keys that are missing and lets the agents
// in. The controller comes first. Each agent offers its part of the machine's CPUs (at least one) and memory; the GPUs
// are the first one's. kInvalid: something in the way; the message names it.
Result<std::vector<DaemonPlan>> PrepareFarm(const FarmPlan& plan);

// Three ports of 127.0.0.1, one behind the other, that are free now, below those that outgoing connections get: a farm
// that is away keeps them.
struct FarmPorts {
  std::uint16_t control = 0;
  std::uint16_t bulk = 0;
  std::uint16_t enrol = 0;
};
Result<FarmPorts> FreePorts();
// kUnavailable: something listens there; the message names the port.
Status CheckPortIsFree(std::uint16_t port);

// The ports that follow `first`; free ones if it is 0. If one of them is taken: kUnavailable where somebody named
// `first`, else free ones, and `remark` says so: an installed controller has the usual ones.
Result<FarmPorts> ChoosePorts(std::uint16_t first, bool named, std::string& remark);

}  // namespace furrow::cli
