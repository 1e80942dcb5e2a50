// An attempt as the runner is told it.
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

// Where the files of a slot lie below the state folder.
std::string WorkspaceOf(const AgentSettings& settings, std::uint32_t slot);
std::string SpoolOf(const AgentSettings& settings, std::uint32_t slot);
std::string MetricsFileOf(const AgentSettings& settings, std::uint32_t slot);
// The attempt as the runner is told it: steps as programs, the whole environment, and a blob that ReadBlob reads.
runner::Start MakeStart(const AgentState& state, const HeldJob& job);
// An attempt's Assign and slot, from the blob that the runner kept. kInvalid: of a version that we do not know.
Result<std::pair<Assign, std::uint32_t>> ReadBlob(const std::string& blob);
// Has the output of an attempt followed.
Follow FollowOf(const AgentState& state, const HeldJob& job, bool resumed);

}  // namespace furrow
