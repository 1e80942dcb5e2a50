// A developer's working copy, or a revision of it, as what a run is made of.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/base/error.h"
#include "common/chunks/source.h"
#include "common/chunks/tree.h"
#include "schemas/client.h"

namespace furrow::cli {

// What git says about the folder that a run is taken from.
struct GitState {
  bool repository = false;  // false: the folder lies in none, and the rest is empty
  SourceInfo info;
  std::vector<std::string> paths;  // tracked and untracked but not ignored, relative to the folder; that exist
};

// kInvalid: git is there, but will not have this folder (damaged, or another user's); the message is git's.
Result<GitState> AskGit(const std::string& folder);

// The files of a run and the way to their bytes.
class SourceTree {
 public:
  ~SourceTree();
  SourceTree(SourceTree&&) noexcept;
  SourceTree& operator=(SourceTree&&) = delete;

  // `folder` as it is: what git would add, or, outside a repository, everything but .git. The hashes of files are
  // remembered in a cache file under ~/.cache/furrow, so that what did not change is not read again.
  static Result<SourceTree> OfFolder(const std::string& folder);
  // The part of the commit that `revision` names which lies at `folder`; checked out into a temporary folder that
  // goes with this object. kInvalid: no repository, no such revision.
  static Result<SourceTree> OfRevision(const std::string& folder, const std::string& revision);

  const Tree& tree() const;
  ChunkSource& chunks() const;
  const SourceInfo& info() const;
  const std::string& root() const;  // the folder that the files are read from

  struct Impl;

 private:
  explicit SourceTree(std::unique_ptr<Impl> impl);
  static Result<SourceTree> Scan(std::unique_ptr<Impl> impl, const std::vector<std::string>* paths);
  std::unique_ptr<Impl> impl_;
};

}  // namespace furrow::cli
