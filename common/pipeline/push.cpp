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
  if (!pipeline.on_push) return "furrow.yaml has no `on: push`, so it starts nothing for pushes";
  const PushTrigger& push = *pipeline.on_push;
  if (!push.branches.empty() && !Takes(push.branches, branch, PatternUse::kBranches))
    return "furrow.yaml starts nothing for this push: its `branches` in `on: push`, " + Listed(push.branches) +
           ", do not take " + branch;
  if (push.paths.empty()) return "";
  const auto taken = [&](const std::string& path) { return Takes(push.paths, path, PatternUse::kPaths); };
  if (!all_paths || std::any_of(changed_paths.begin(), changed_paths.end(), taken)) return "";
  const std::string patterns =
      "furrow.yaml starts nothing for this push: its `paths` in `on: push`, " + Listed(push.paths) + ", take none of ";
  if (changed_paths.empty()) return patterns + "it, for it changes no file";
  const std::size_t more = changed_paths.size() - 1;
  return patterns + "what it changes: " + changed_paths.front() +
         (more > 0 ? " and " + std::to_string(more) + " more" : "");
}

}  // namespace furrow
