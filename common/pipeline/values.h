// Parses the values of furrow.yaml that are more than text: numbers, durations, sizes, GPUs, names, rules. Each
// function takes a whole scalar; a failure's message completes "`timeout` in job `test` ".
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "common/base/error.h"
#include "common/pipeline/pipeline.h"

namespace furrow::pipeline {

// Parses a decimal integer with an optional sign. Returns none for any other text or a number beyond 64 bits.
std::optional<std::int64_t> ParseInteger(std::string_view text);

// Parses a finite decimal number: 1, -0.5, 1e-3. The locale plays no part.
std::optional<double> ParseNumber(std::string_view text);

// Returns a text that begins with a number without the zeros before that number: 10GiB for 010GiB; none: it has no such
// zeros. A number with them is refused wherever one may stand in furrow.yaml, and so do the functions below, because
// readers of YAML take 010 for 8 or for 10.
std::optional<std::string> WithoutZeros(std::string_view text);

// Parses a duration: `90s`, `5m`, `6h`, `3d`, `250ms`, also `1.5h`. It must be above zero and at most 365 days.
Result<std::chrono::milliseconds> ParseDuration(std::string_view text);

// Parses a size into bytes: `512KiB`, `64MiB`, `1.5GiB`, `2TiB`. It must be at least one byte and below 1 EiB.
Result<std::uint64_t> ParseSize(std::string_view text);

// Parses CPUs into thousandths: `4`, `0.5`. The number must be above zero and at most 4096.
Result<std::uint32_t> ParseCpus(std::string_view text);

struct Gpus {
  std::uint32_t milli = 0;
  std::string model;  // empty: any model
};
// Parses `2`, `0.5` (a share of one GPU), `a100:2` or `0`. From 1 on the number must be whole, and it is at most 1024.
Result<Gpus> ParseGpus(std::string_view text);

// Parses the comparison and the bound of a check: `>= 0.80`. kUnavailable: the rule needs a feature that is not yet
// built.
Result<MetricRule> ParseRule(std::string metric, std::string_view text);

// Returns whether `text` has a variable of a shell in it: $NAME or ${NAME}.
bool HasVariable(std::string_view text);

// Returns whether `text` is a name: [A-Za-z0-9_] first, then also - and (with `dots`) a dot; 1 to 64 bytes.
bool IsName(std::string_view text, bool dots);

// Returns whether a shell can export a variable of this name: [A-Za-z_][A-Za-z0-9_]*.
bool IsEnvName(std::string_view text);

// Linux passes no longer text to a program as one argument or variable (MAX_ARG_STRLEN less the NUL).
inline constexpr std::size_t kMaxArgumentBytes = 131'071;

// Returns whether the agent sets this variable itself, so that no pipeline may.
bool IsReservedEnv(std::string_view name);
// Returns what to do about a variable that IsReservedEnv.
std::string CureOfReserved(std::string_view name);

// Says that a variable's value names another variable, which nothing replaces, and what to write; empty: it names none.
// The words complete "`PATH` in `env` ".
std::string WhyNotLiteral(std::string_view name, std::string_view value);

// Returns the comparison as furrow.yaml writes it.
std::string_view ComparisonText(Comparison comparison);

}  // namespace furrow::pipeline
