// Makes a tree of what lies in a folder, and reads the tree's chunks back from there.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/base/error.h"
#include "common/base/file_io.h"
#include "common/chunks/source.h"
#include "common/chunks/tree.h"

namespace furrow {

class HashCache;

struct ScanOptions {
  // What to take, relative to the root: globs ('*', '?', '[…]' within a component, "**" for any number of components);
  // a match that is a directory brings everything beneath it. Empty: everything.
  std::vector<std::string> include;
  // What to leave out, the same globs; one without '/' applies to names at any depth. Directories are not entered.
  std::vector<std::string> exclude;
  // May be null. Not owned; must outlive the scan. The caller saves it.
  HashCache* cache = nullptr;
  unsigned threads = 2;  // that hash
  std::uint64_t max_bytes = UINT64_MAX;
};

struct ScannedTree {
  Tree tree;
  std::vector<std::string> unmatched;  // patterns in `include` that matched nothing
  std::uint64_t hashed_bytes = 0;      // read and hashed; the rest came from the cache
};

// Scans beneath the directory `root_fd` (borrowed). Links are recorded, never followed; sockets, pipes and devices are
// left out. kInvalid: a link that leaves the root, or too much; kUnavailable: a file kept changing; kInternal: cannot
// be read. Each error names the file.
Result<ScannedTree> ScanTree(int root_fd, const ScanOptions& options);
Result<ScannedTree> ScanTree(const std::string& root, const ScanOptions& options);

// Takes exactly these files, links and directories (directories with all beneath); every one must exist, else
// kNotFound. `options.include` is not used.
Result<ScannedTree> ScanPaths(int root_fd, const std::vector<std::string>& paths, const ScanOptions& options);

// Reads the chunks of a scanned tree out of its files. Any thread.
class ScannedChunks final : public ChunkSource {
 public:
  // Where a chunk lies.
  struct Location {
    std::uint32_t entry;   // index in tree.entries
    std::uint32_t length;  // bytes
    std::uint64_t offset;  // in the file
  };

  // `tree` is borrowed and must outlive this; `root_fd` is duplicated.
  static Result<std::unique_ptr<ScannedChunks>> Open(const Tree& tree, int root_fd);

  // As ChunkSource; kCorrupt means that the file changed after the scan.
  Status Read(const ChunkRef& chunk, std::span<std::byte> out) override;

  // What now lies where the chunk was, for those whose receiver verifies it anyway: hashing costs as much as sending.
  // kCorrupt: the file is shorter.
  Status ReadUnverified(const ChunkRef& chunk, std::span<std::byte> out);

  // Null if no file of the tree has this chunk.
  const Location* Find(const Hash& hash) const;

 private:
  ScannedChunks(const Tree& tree, FileHandle root_fd) : tree_(tree), root_fd_(std::move(root_fd)) {}

  const Tree& tree_;
  const FileHandle root_fd_;
  std::unordered_map<Hash, Location> locations_;
  std::mutex mutex_;  // guards the file that is kept open, since chunks are mostly read in order
  std::uint32_t open_entry_ = UINT32_MAX;
  std::shared_ptr<FileHandle> open_file_;
};

}  // namespace furrow
