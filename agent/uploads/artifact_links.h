// Finds what the links among artifacts point to, so that it is kept with them: in a workspace where `latest` is a link
// to `run-3`, `latest` and `latest/m.pt` mean what lies there.
#pragma once

#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "common/chunks/tree.h"

namespace furrow {

// Where a path in a folder leads.
struct Followed {
  std::vector<std::string> links;  // on the way and at its end, in order
  std::string place;               // without links; "": the folder itself
  bool outside = false;            // a link leads out of the folder, or is absolute
  bool missing = false;            // a link leads to nothing
};
Followed FollowLinks(int root_fd, std::string_view path);

// Holds the patterns of a job with those that the links of its workspace add.
class LinkedPatterns {
 public:
  LinkedPatterns(int root_fd, const std::vector<std::string>& patterns);

  // Returns the patterns to scan with.
  std::vector<std::string> All() const;
  // Adds what the links of a scanned tree point to and no pattern selects. False: there is nothing to add.
  bool Add(const Tree& tree);
  // Returns the given patterns of which neither they nor what stands for them is matched, in words about each.
  std::vector<std::string> Unmatched(const std::vector<std::string>& unmatched) const;
  // Returns the links of the tree that point to nothing in it.
  std::vector<std::string> Dangling(const Tree& tree) const;

 private:
  struct Pattern {
    std::string given;
    std::string followed;  // stands for it, behind the links on its way; empty: there are none
    std::string word;      // about a link on its way
  };

  // Returns whether a pattern of the job, or what stands for it, says of `place` or a folder above it what to do.
  bool Decided(std::string_view place) const;
  bool AddPlace(const std::string& place);

  const int root_fd_;
  std::vector<Pattern> patterns_;
  std::unordered_set<std::string> ways_;  // links that patterns only go through
  std::vector<std::string> added_;        // They come first: what the job excludes stays excluded.
};

}  // namespace furrow
