// Keeps the enrolment in the agent's state folder, which names the agent's controller. `furrow-agent enrol` writes the
// file; the daemon reads or awaits the file.
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
  std::string host;  // host of the controller; IPv6 without brackets
  std::uint16_t control_port = 0;
  std::uint16_t bulk_port = 0;
  std::uint16_t enrol_port = 0;
  std::string controller_key;  // Z85
  std::string name;            // the agent's name on the allowlist
  std::vector<std::string> labels;
  WallTime enrolled{};
  friend bool operator==(const Enrolment&, const Enrolment&) = default;
};

// Returns STATE/farm.json, which WriteEnrolment writes whole or not at all, and durably.
std::filesystem::path EnrolmentFile(const std::filesystem::path& state);
// kNotFound: this machine is not enrolled. kCorrupt: the file is damaged; the message says what to do.
Result<Enrolment> ReadEnrolment(const std::filesystem::path& state);
Status WriteEnrolment(const std::filesystem::path& state, const Enrolment& enrolment);

// Returns the agent's own key file: the configured one, else agent.key in the state folder.
std::filesystem::path KeyFileOf(const AgentConfig& config);

// Returns whether the configuration itself names a controller's key, so that the agent needs no enrolment.
bool IsConfiguredByHand(const AgentConfig& config);

// Fills in the fields that the configuration leaves open, from the enrolment if there is one. Afterwards the name, both
// addresses and controller_key are set, and the enrolment's labels follow the configured ones. kInvalid: the
// configuration names a controller only in part.
Status CompleteConfig(AgentConfig& config, const std::optional<Enrolment>& enrolment);

// Waits until farm.json exists and is whole. Calls `go_on` whenever `wake_fd` is readable and at least once a second;
// when `go_on` returns false, returns nullopt. The folder must exist. Errors are ReadEnrolment's, except kNotFound.
Result<std::optional<Enrolment>> AwaitEnrolment(const std::filesystem::path& state, int wake_fd,
                                                const std::function<bool()>& go_on);

std::string HostName();

}  // namespace furrow
