// Writes a tree's files into a folder without ever leaving it.
#pragma once

#include "common/base/error.h"
#include "common/chunks/source.h"
#include "common/chunks/tree.h"

namespace furrow {

struct MaterialiseOptions {
  // A file or link that is in the way: replaced, else an error (kRejected). A directory is never replaced by a file.
  bool replace = false;
  unsigned threads = 2;  // for large files
};

// Writes `tree`, which must be valid (from DecodeTree, MakeTree or a scan), beneath the directory `dest_fd` (borrowed).
// Follows no link, present or appearing: each directory is opened by descriptor with O_NOFOLLOW. Every chunk is
// verified. Nothing is synced. On an error, which names the file, part of the tree may exist: the caller removes the
// folder (RemoveBeneath of common/chunks/beneath.h). kUnavailable: the disk is full; kNotFound, kCorrupt: a chunk, as
// the source said.
Status MaterialiseTree(const Tree& tree, int dest_fd, ChunkSource& chunks, const MaterialiseOptions& options = {});
}  // namespace furrow
