// The program behind a `check` step: `furrow-agent check-metrics --have=NAME=VALUE … --rule="NAME >= BOUND" …`.
#pragma once

#include <span>
#include <string>

namespace furrow {

// Prints each rule with the value that it was held against. Returns 0 if all hold, 1 if one does not or its
// metric was never reported, 2 for an argument that cannot be read.
int CheckMetricsMain(std::span<const std::string> arguments);

}  // namespace furrow
