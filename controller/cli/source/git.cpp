#include "controller/cli/source/git.h"

#include <algorithm>
#include <utility>

namespace furrow::cli {
namespace {

// Puts git's words on one line. Git names cures in further lines, as for a folder of another user.
std::string OneLine(const std::string& text) {
  constexpr std::size_t kMostBytes = 1'000;
  std::string line;
  for (const std::string& part : Split(text, '\n')) {
    const std::size_t first = part.find_first_not_of(" \t\r");
    if (first == std::string::npos || line.size() > kMostBytes) continue;
    line += (line.empty() ? "" : " ") + part.substr(first, part.find_last_not_of(" \t\r") + 1 - first);
  }
  return line;
}

}  // namespace

std::vector<std::string> Split(const std::string& text, char mark) {
  std::vector<std::string> parts;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find(mark, at), text.size());
    parts.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

Result<std::string> Git(const std::string& folder, std::vector<std::string> arguments, ProgramOptions options) {
  arguments.insert(arguments.begin(), {"git", "--no-optional-locks"});
  options.folder = folder;
  FURROW_ASSIGN(ProgramResult result, RunProgram(arguments, options));
  if (result.status == 0) return std::move(result.out);
  return Fail(Errc::kInvalid, "git " + arguments[2] + " in " + folder + ": " + OneLine(result.err));
}

bool IsLfsPointer(std::string_view content) {
  return content.size() <= kMaxLfsPointerBytes && content.starts_with("version https://git-lfs.github.com/spec/v1\n");
}

}  // namespace furrow::cli
