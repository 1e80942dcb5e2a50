// Reads and writes the names of runs, jobs and shards: "fashion#42", "fashion#42/test", "fashion#42/test/3". A name
// before the first / is a project where # follows it: "vision/fashion#42".
#pragma once

#include <string>
#include <string_view>

#include "common/base/error.h"
#include "schemas/client.h"

namespace furrow {

// Parses a selector. kInvalid: the message says what is wrong and how a selector is written.
Result<Selector> ParseSelector(std::string_view text);
std::string FormatSelector(const Selector& selector);
// Formats the run alone, without job and shard.
std::string FormatRun(const Selector& selector);

}  // namespace furrow
