// These functions write the files of a farm on one machine: configuration and keys of a controller and its agents, all
// in one folder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "common/base/error.h"

namespace furrow::cli {

struct FarmPlan {
  std::filesystem::path state;     // the controller's state; agents are in <state>/agents/agent-1 …
  std::filesystem::path programs;  // the folder of furrow-controller and furrow-agent
  std::uint32_t agents = 1;
  std::uint16_t control_port = 0;
  std::uint16_t bulk_port = 0;
  std::uint16_t enrol_port = 0;
};

// A DaemonPlan says how one daemon is started and where its output goes.
struct DaemonPlan {
  std::string name;  // "controller", "agent-1"
  std::vector<std::string> argv;
  std::filesystem::path log;
  std::filesystem::path folder;  // the daemon's state folder
};

// Writes <state>/controller.yaml and <state>/agents/*/agent.yaml, makes the missing keys and adds the agents to the
// allowlist. Returns the plans, the controller's first. Each agent offers its part of the machine's CPUs (at least one)
// and memory; the first agent offers the GPUs. kInvalid: something is in the way; the message names the path.
Result<std::vector<DaemonPlan>> PrepareFarm(const FarmPlan& plan);

// FreePorts returns three ports of 127.0.0.1 in a row that are free now. They lie below the ports of outgoing
// connections, so that a stopped farm keeps them.
struct FarmPorts {
  std::uint16_t control = 0;
  std::uint16_t bulk = 0;
  std::uint16_t enrol = 0;
};
Result<FarmPorts> FreePorts();
// Checks that a port is free. kUnavailable: something listens there; the message names the port.
Status CheckPortIsFree(std::uint16_t port);

// Returns the ports that follow `first`; free ones if `first` is 0. If one of the ports is taken: kUnavailable where
// the user named `first`, else free ports, and `remark` says so, because an installed controller has the usual ones.
Result<FarmPorts> ChoosePorts(std::uint16_t first, bool named, std::string& remark);

}  // namespace furrow::cli
