// Makes a tree of the files in a folder, and reads the tree's chunks back from these files.
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
  // Paths to take, relative to the root: patterns as in common/base/glob.h; a match that is a directory brings
  // everything beneath it. A pattern behind '!' takes nothing of what it matches. The last one that matches decides.
  // Empty: everything.
  std::vector<std::string> include;
  // Paths to leave out, as patterns of the same kind; one without '/' applies to names at any depth. An excluded
  // directory is not entered.
  std::vector<std::string> exclude;
  // May be null. The cache is not owned and must outlive the scan; the caller saves it.
  HashCache* cache = nullptr;
  unsigned threads = 2;  // the threads that hash
  // true: what cannot be taken is left out, and ScannedTree says so. false: the scan fails.
  bool keep_going = false;
  std::uint64_t max_bytes = UINT64_MAX;
};

struct ScannedTree {
  Tree tree;
  std::vector<std::string> unmatched;  // the patterns in `include` that matched nothing
  std::uint64_t hashed_bytes = 0;      // the bytes read and hashed; the cache has the rest
  // Words about each file that was left out, each of which names the file; in no order.
  std::vector<std::string> left_out;
  std::vector<std::string> special;  // paths of sockets, pipes and devices, which are no content of a tree
};

// Cuts a tree that is too long for EncodeTree, and says in `left_out` from which path on. The encoding of what is left
// fits.
void CutToEncodable(ScannedTree& scanned);

// Scans beneath the directory `root_fd` (borrowed). Links are recorded, never followed; sockets, pipes and devices are
// left out. kInvalid: a link leaves the root, or the files exceed a limit; kUnavailable: a file kept changing;
// kInternal: a file cannot be read. Each error names the file.
Result<ScannedTree> ScanTree(int root_fd, const ScanOptions& options);
Result<ScannedTree> ScanTree(const std::string& root, const ScanOptions& options);

// Takes exactly these files, links and directories (directories with all beneath). kNotFound: one does not exist.
// `options.include` is not used.
Result<ScannedTree> ScanPaths(int root_fd, const std::vector<std::string>& paths, const ScanOptions& options);

// Reads the chunks of a scanned tree from its files. Any thread may use it.
class ScannedChunks final : public ChunkSource {
 public:
  // A Location says where a chunk lies.
  struct Location {
    std::uint32_t entry;   // index in tree.entries
    std::uint32_t length;  // bytes
    std::uint64_t offset;  // offset in the file
  };

  // Borrows `tree`, which must outlive the ScannedChunks, and duplicates `root_fd`.
  static Result<std::unique_ptr<ScannedChunks>> Open(const Tree& tree, int root_fd);

  // Reads as ChunkSource says; kCorrupt means that the file changed after the scan.
  Status Read(const ChunkRef& chunk, std::span<std::byte> out) override;

  // Reads the bytes that lie now where the chunk was, without a check of the hash: hashing costs as much as sending,
  // and a receiver that verifies the chunk needs no check here. kCorrupt: the file is shorter.
  Status ReadUnverified(const ChunkRef& chunk, std::span<std::byte> out);

  // Returns null if no file of the tree has this chunk.
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
