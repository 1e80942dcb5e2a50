// This header says whether a job fits on an agent.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "controller/state/state.h"

namespace furrow {

bool CarriesLabels(const Offer& offer, const std::vector<std::string>& labels);

// Returns whether a job would fit on an agent with this offer that has nothing else to do. With the offer of a class it
// is whether the job would fit on some member, if that has the memory.
bool CouldEver(const Offer& offer, const Resources& need, const std::vector<std::string>& labels);

// Returns the CPUs that may be promised beyond the offer, to a job that may be planned so far ahead (Need::ahead).
std::int64_t AheadMilli(const Offer& offer, std::uint32_t ahead);

// Returns false if the job surely does not fit. Of GPUs it looks at their number alone, not at models and memories.
bool HasRoom(const Free& free, const Resources& need, std::int64_t ahead_milli);

// Returns the devices that a job for which there is room would get, or nothing if these are not free. The fullest
// device that fits comes first.
std::optional<std::vector<std::string>> FindDevices(const Offer& offer, const Load& load, const Resources& need);

// Returns whether some agent of the class has the job's resources free.
bool FitsNow(const AgentClass& in, const Resources& need);

// Adds what a job takes.
void Take(Load& load, const Resources& need, const std::vector<std::string>& uuids);

}  // namespace furrow
