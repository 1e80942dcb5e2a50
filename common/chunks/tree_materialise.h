// Writes a tree's files into a folder without ever leaving it.
#pragma once

#include <sys/types.h>

#include <optional>

#include "common/base/error.h"
#include "common/chunks/source.h"
#include "common/chunks/tree.h"

namespace furrow {

struct MaterialiseOptions {
  // true replaces a file or link that is in the way; false fails (kRejected). A file never replaces a directory.
  bool replace = false;
  unsigned threads = 2;  // the threads that write large files
  // Files and folders get the modes that this umask leaves, and their owner's in any case; absent: the process's umask
  // decides.
  std::optional<mode_t> umask = {};
};

// Writes `tree`, which must be valid (from DecodeTree, MakeTree or a scan), beneath the directory `dest_fd` (borrowed).
// Follows no link, present or appearing: each directory is opened by descriptor with O_NOFOLLOW. Every chunk is
// verified. Nothing is synced. After an error, which names the file, part of the tree may exist: the caller removes the
// folder (RemoveBeneath of common/chunks/remove_tree.h). kUnavailable: the disk is full; kNotFound, kCorrupt: the
// source said so of a chunk.
Status MaterialiseTree(const Tree& tree, int dest_fd, ChunkSource& chunks, const MaterialiseOptions& options = {});
}  // namespace furrow
