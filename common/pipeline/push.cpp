#include <algorithm>

#include "common/pipeline/pattern.h"
#include "common/pipeline/pipeline.h"

namespace furrow {
namespace {

// Returns patterns as a list in furrow.yaml shows them.
std::string Listed(const std::vector<std::string>& patterns) {
  constexpr std::size_t kMost = 8;
  std::string list = "[";
  for (std::size_t i = 0; i < std::min(patterns.size(), kMost); ++i) list += (i > 0 ? ", " : "") + patterns[i];
  return list + (patterns.size() > kMost ? ", … " + std::to_string(patterns.size() - kMost) + " more]" : "]");
}

}  // namespace

std::string WhyPushStartsNothing(const Pipeline& pipeline, const std::string& branch,
                                 const std::vector<std::string>& changed_paths, bool all_paths) {
  if (!pipeline.on_push) return "furrow.yaml has no `on: push`, without which pushes start nothing";
  const PushTrigger& push = *pipeline.on_push;
  if (!push.branches.empty() && !Takes(push.branches, branch, PatternUse::kBranches))
    return "`branches` in `on: push` of furrow.yaml does not take " + branch + ": " + Listed(push.branches);
  if (push.paths.empty()) return "";
  const auto taken = [&](const std::string& path) { return Takes(push.paths, path, PatternUse::kPaths); };
  if (!all_paths || std::any_of(changed_paths.begin(), changed_paths.end(), taken)) return "";
  const std::string patterns = "`paths` in `on: push` of furrow.yaml takes none of ";
  if (changed_paths.empty()) return patterns + "this push, which changes no file: " + Listed(push.paths);
  const std::size_t more = changed_paths.size() - 1;
  return patterns + "what this push changes (" + changed_paths.front() +
         (more > 0 ? " and " + std::to_string(more) + " more" : "") + "): " + Listed(push.paths);
}

}  // namespace furrow
