// A SourceTree is a developer's working copy, or a revision of it, as the sources of a run.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "common/base/error.h"
#include "common/chunks/source.h"
#include "common/chunks/tree.h"
#include "schemas/client.h"

namespace furrow::cli {

// A GitState is what git knows about the folder that a run is taken from.
struct GitState {
  bool repository = false;  // false: the folder lies in no repository, and the other fields are empty
  SourceInfo info;
  std::string top;                 // of the working copy
  std::vector<std::string> paths;  // existing files, tracked or untracked but not ignored, relative to the folder
};

// Asks git about a folder. kInvalid: git refuses the folder (damaged, or another user's); the message is git's.
Result<GitState> AskGit(const std::string& folder);

// A SourceTree holds the files of a run and the way to their bytes.
class SourceTree {
 public:
  ~SourceTree();
  SourceTree(SourceTree&&) noexcept;
  SourceTree& operator=(SourceTree&&) = delete;

  // Takes `folder` as it is: the files that git would add, or, outside a repository, everything but .git. A cache file
  // under ~/.cache/furrow remembers the hashes of files, so that unchanged files are not read again.
  static Result<SourceTree> OfFolder(const std::string& folder);
  // Takes the part at `folder` of the commit that `revision` names, written as git stores it into a temporary folder
  // that is removed with this object. kInvalid: there is no repository, or no such revision.
  static Result<SourceTree> OfRevision(const std::string& folder, const std::string& revision);

  const Tree& tree() const;
  ChunkSource& chunks() const;
  // Says the commit, and `dirty` where the tree is not what a push of the commit delivers.
  const SourceInfo& info() const;
  const std::string& root() const;  // the folder that the files are read from
  const std::string& top() const;   // the top of the working copy, or the folder itself

  struct Impl;

 private:
  explicit SourceTree(std::unique_ptr<Impl> impl);
  // Says in the info how the files differ from the commit's in the part at `folder`.
  Status NoteDifferences(const std::string& folder);
  static Result<SourceTree> Scan(std::unique_ptr<Impl> impl, const std::vector<std::string>* paths);
  std::unique_ptr<Impl> impl_;
};

}  // namespace furrow::cli
