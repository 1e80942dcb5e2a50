// Compares what is sent as a commit with what the commit holds, which is what a push of it delivers.
#pragma once

#include <string>
#include <vector>

#include "common/base/error.h"
#include "common/chunks/tree.h"

namespace furrow::cli {

struct Differences {
  bool equal = true;               // false: the tree is not the commit's
  std::vector<std::string> notes;  // for people, one line each
};

// Compares `tree`, which was read from `folder`, with the part of `commit` that lies there. Where `dirty`, what git
// says is changed is left out. `lies_at`: the folder that the files lie in, if it is not `folder` itself.
Result<Differences> CompareWithCommit(const std::string& folder, const std::string& commit, const Tree& tree,
                                      bool dirty, const std::string& lies_at = "");

}  // namespace furrow::cli
