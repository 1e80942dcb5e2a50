// Runs a `check` step: `furrow-agent check-metrics --have=NAME=VALUE … --rule="NAME >= BOUND" …`.
#pragma once

#include <span>
#include <string>

namespace furrow {

// Prints each rule with the value of its metric. Returns 0 if all rules hold, 1 if one does not hold or lacks its
// metric, 2 for an argument that cannot be read.
int CheckMetricsMain(std::span<const std::string> arguments);

}  // namespace furrow
