// Finds a text that patterns take, to prove that they can match something. This header is internal to common_pipeline.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/pipeline/pattern.h"

namespace furrow::pipeline {

// Returns whether what a pattern matches stands for all beneath it, too.
bool StandsForFolders(std::string_view pattern, PatternUse use);

// Returns a short text that the pattern, which excludes nothing, matches and that may be a branch or path; none: there
// is none. The time is linear in the pattern.
std::optional<std::string> WitnessOfOne(std::string_view pattern, PatternUse use);

struct ListWitness {
  std::optional<std::string> text;
  bool sure = true;  // false: the search was given up, so no text says nothing
};
// Returns a short text that the list takes.
ListWitness WitnessOfList(const std::vector<std::string>& patterns, PatternUse use);

}  // namespace furrow::pipeline
