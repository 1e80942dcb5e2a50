// Translates an attempt into the runner's Start, and the runner's blob back into an attempt.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "agent/runner/protocol.h"
#include "agent/state/effects.h"
#include "agent/state/outbox.h"
#include "agent/state/state.h"
#include "common/base/clock.h"
#include "common/base/error.h"
#include "schemas/agent.h"

namespace furrow {

// Return the absolute paths of a slot's files below the state folder.
std::string WorkspaceOf(const AgentSettings& settings, std::uint32_t slot);
std::string SpoolOf(const AgentSettings& settings, std::uint32_t slot);
std::string MetricsFileOf(const AgentSettings& settings, std::uint32_t slot);
// Returns the runner's Start of an attempt: steps as programs, the whole environment, and a blob that ReadBlob reads.
runner::Start MakeStart(const AgentState& state, const HeldJob& job);
// Returns an attempt's Assign and slot from the blob that the runner kept. kInvalid: the version is unknown.
Result<std::pair<Assign, std::uint32_t>> ReadBlob(const std::string& blob);
// Returns the command that makes the uploader follow an attempt's output.
Follow FollowOf(const AgentState& state, const HeldJob& job, bool resumed);

}  // namespace furrow
