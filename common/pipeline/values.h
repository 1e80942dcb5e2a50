// The values of furrow.yaml that are more than text: numbers, durations, sizes, GPUs, names, rules.
// Each takes a whole scalar; a failure's message completes "`timeout` in job `test` ".
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/error.h"
#include "common/pipeline/pipeline.h"

namespace furrow::pipeline {

// A decimal integer with an optional sign; none if it is anything else or beyond 64 bits.
std::optional<std::int64_t> ParseInteger(std::string_view text);

// A finite decimal number: 1, -0.5, 1e-3. The locale plays no part.
std::optional<double> ParseNumber(std::string_view text);

// `90s`, `5m`, `6h`, `3d`, `250ms`, also `1.5h`; above zero, at most 365 days.
Result<std::chrono::milliseconds> ParseDuration(std::string_view text);

// `512KiB`, `64MiB`, `1.5GiB`, `2TiB`, in bytes; at least one, below 1 EiB.
Result<std::uint64_t> ParseSize(std::string_view text);

// CPUs in thousandths: `4`, `0.5`; above zero, at most 4096.
Result<std::uint32_t> ParseCpus(std::string_view text);

struct Gpus {
  std::uint32_t milli = 0;
  std::string model;  // empty: any
};
// `2`, `0.5` (a share of one), `a100:2`, `0`; whole ones from 1 on, at most 1024.
Result<Gpus> ParseGpus(std::string_view text);

// `>= 0.80`: the comparison and the bound of a check. kUnavailable: the rule needs what is not yet built.
Result<MetricRule> ParseRule(std::string metric, std::string_view text);

// [A-Za-z0-9_] first, then also - and (with `dots`) a dot; 1 to 64 bytes.
bool IsName(std::string_view text, bool dots);

// A name that a shell can export: [A-Za-z_][A-Za-z0-9_]*.
bool IsEnvName(std::string_view text);

// The longest text that Linux passes to a program as one argument or variable (MAX_ARG_STRLEN less the NUL).
inline constexpr std::size_t kMaxArgumentBytes = 131'071;

// Whether the agent sets this variable itself, so that no pipeline may.
bool IsReservedEnv(std::string_view name);

// A path or glob below the workspace, without `./`, doubled and trailing slashes.
Result<std::string> ParseArtifact(std::string_view text);

// The comparison as it is written.
std::string_view ComparisonText(Comparison comparison);

}  // namespace furrow::pipeline
