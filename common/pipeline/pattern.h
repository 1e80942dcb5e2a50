// Reads the patterns that people write: of branches and paths of a push, of artifacts. What can match nothing is
// refused here with what to write instead, so that it does not wait for ever. common/base/glob.h says what a pattern
// matches.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/error.h"

namespace furrow {

enum class PatternUse {
  kBranches,
  kPaths,      // of files in a commit; a pattern without wildcards in its last part also stands for what is beneath it
  kArtifacts,  // of files and folders in a workspace; a folder stands for what is beneath it
};

// Reads one pattern. The result is the patterns that it stands for, `{a,b}` written out and paths without `./` and
// doubled slashes; with a `!` in front they exclude. A failure's message completes "the pattern `train/` ": it says why
// the pattern cannot match anything, and what to write.
Result<std::vector<std::string>> ReadPattern(std::string_view text, PatternUse use);

// Checks a list of what ReadPattern returned: that each exclusion has something to exclude from, and that not all is
// excluded. The message completes "the list of patterns ".
Status CheckPatterns(const std::vector<std::string>& patterns, PatternUse use);

// Returns a short text that the list takes; none: there is none, or finding it would take too long.
std::optional<std::string> WitnessOf(const std::vector<std::string>& patterns, PatternUse use);

// Returns whether a list takes `text`: the last of its patterns that matches decides.
bool Takes(const std::vector<std::string>& patterns, std::string_view text, PatternUse use);

}  // namespace furrow
