// Asks git, by its program.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/base/error.h"
#include "common/base/run_program.h"

namespace furrow::cli {

// Runs git in `folder` and returns its output. kInvalid: git failed; the message is git's, with the cure that it names.
Result<std::string> Git(const std::string& folder, std::vector<std::string> arguments, ProgramOptions options = {});

// Returns the parts of `text` between marks; a mark at the end ends the last part.
std::vector<std::string> Split(const std::string& text, char mark);

// Returns whether `content` is what git stores in the place of a file that Git LFS keeps.
bool IsLfsPointer(std::string_view content);
inline constexpr std::size_t kMaxLfsPointerBytes = 1024;

}  // namespace furrow::cli
