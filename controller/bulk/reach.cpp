#include "controller/bulk/reach.h"

#include <algorithm>
#include <span>
#include <utility>

#include "common/base/hash.h"

namespace furrow {

bool Reach::Has(const Hash& blob, TreeChunks& chunks, Hash& last) const {
  const auto is_tree = [&](const Hash& name) {
    return std::any_of(trees.begin(), trees.end(),
                       [&](const auto& list) { return std::binary_search(list->begin(), list->end(), name); });
  };
  if (whole || is_tree(blob)) return true;
  // A tree is fetched as a whole, so the tree of the last chunk comes first, then those in memory: a tree is read from
  // the disk only for a chunk that none of them names.
  if (is_tree(last) && chunks.Names(last, blob)) return true;
  std::vector<const Hash*> unknown;
  for (const auto& list : trees) {
    for (const Hash& tree : *list) {
      const auto named = chunks.Recall(tree, blob);
      if (!named) unknown.push_back(&tree);
      if (!named || !*named) continue;
      last = tree;
      return true;
    }
  }
  for (const Hash* tree : unknown) {
    if (!chunks.Names(*tree, blob)) continue;
    last = *tree;
    return true;
  }
  return false;
}

void Reaches::Grant(const BulkGrant& grant) {
  Revoke(grant.attempt);
  Agent& agent = agents_[grant.agent];
  agent.attempts[grant.attempt] = Share(grant.trees);
  agent.reach.reset();
  agent_of_[grant.attempt] = grant.agent;
}

void Reaches::Revoke(AttemptRef attempt) {
  const auto name = agent_of_.find(attempt);
  if (name == agent_of_.end()) return;
  const auto agent = agents_.find(name->second);
  agent->second.attempts.erase(attempt);
  agent->second.reach.reset();
  if (agent->second.attempts.empty()) agents_.erase(agent);
  agent_of_.erase(name);
  // A worker may hold the last list for a moment longer; its entry goes with a later revoke.
  std::erase_if(lists_, [](const auto& entry) { return entry.second.expired(); });
}

std::shared_ptr<const Reach> Reaches::Of(const Identity& who) {
  static const auto kAll = std::make_shared<const Reach>(Reach{true});
  static const auto kNothing = std::make_shared<const Reach>();
  if (who.role == Role::kClient) return kAll;
  const auto found = agents_.find(who.name);
  if (found == agents_.end()) return kNothing;
  Agent& agent = found->second;
  if (!agent.reach) {
    Reach reach;
    for (const auto& [attempt, trees] : agent.attempts) reach.trees.push_back(trees);
    std::sort(reach.trees.begin(), reach.trees.end());
    reach.trees.erase(std::unique(reach.trees.begin(), reach.trees.end()), reach.trees.end());
    agent.reach = std::make_shared<const Reach>(std::move(reach));
  }
  return agent.reach;
}

Reaches::Trees Reaches::Share(const std::shared_ptr<const std::vector<Hash>>& trees) {
  std::vector<Hash> sorted = trees ? *trees : std::vector<Hash>();
  std::sort(sorted.begin(), sorted.end());
  sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
  Sha256 content;
  for (const Hash& tree : sorted) content.Update(std::as_bytes(std::span(tree.bytes)));
  std::weak_ptr<const std::vector<Hash>>& known = lists_[content.Digest()];
  Trees shared = known.lock();
  if (!shared) known = shared = std::make_shared<const std::vector<Hash>>(std::move(sorted));
  return shared;
}

}  // namespace furrow
