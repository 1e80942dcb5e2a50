// What an agent's enrolment left in its state folder: which controller it belongs to. `furrow-agent enrol` writes it,
// the daemon reads it, or waits for it.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/daemon/config.h"
#include "common/transport/transport.h"

namespace furrow {

struct Enrolment {
  std::string host;  // of the controller; IPv6 without brackets
  std::uint16_t control_port = 0;
  std::uint16_t bulk_port = 0;
  std::uint16_t enrol_port = 0;
  std::string controller_key;  // Z85
  std::string name;            // that the agent has on the allowlist
  std::vector<std::string> labels;
  WallTime enrolled{};
  friend bool operator==(const Enrolment&, const Enrolment&) = default;
};

// STATE/farm.json. Written whole or not at all, and durable.
std::filesystem::path EnrolmentFile(const std::filesystem::path& state);
// kNotFound: this machine is not enrolled. kCorrupt: the file is damaged; the message says what to do.
Result<Enrolment> ReadEnrolment(const std::filesystem::path& state);
Status WriteEnrolment(const std::filesystem::path& state, const Enrolment& enrolment);

// The agent's own key file: what the configuration names, else agent.key in the state folder.
std::filesystem::path KeyFileOf(const AgentConfig& config);

// Whether the configuration itself names a controller's key, so that no enrolment is needed.
bool IsConfiguredByHand(const AgentConfig& config);

// Fills in what the configuration leaves open, from the enrolment if there is one: afterwards name, both addresses and
// controller_key are set, and the enrolment's labels stand behind the configured ones. kInvalid: the configuration
// names a controller by halves.
Status CompleteConfig(AgentConfig& config, const std::optional<Enrolment>& enrolment);

// Waits until farm.json is there and whole. Calls `go_on` whenever `wake_fd` is readable and at least once a second;
// when that says false it gives up (nullopt). The folder exists. Errors as ReadEnrolment, but for kNotFound.
Result<std::optional<Enrolment>> AwaitEnrolment(const std::filesystem::path& state, int wake_fd,
                                                const std::function<bool()>& go_on);

std::string HostName();

}  // namespace furrow
