// A tree is the one form in which sources, artifacts, caches, models and datasets are named, stored and moved. Its name
// is the SHA-256 of its canonical encoding (controller/STORE.md, "Trees"), so equal content has an equal name.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/error.h"
#include "common/base/ids.h"

namespace furrow {

// The encoding is stored as a blob under the tree's name, so this cap on the encoding caps every blob. At 36 bytes a
// chunk the cap is about 1.8 million chunks, or 450 GiB of large files. A blob above kMaxChunkBytes travels in parts.
inline constexpr std::size_t kMaxBlobBytes = 64 << 20;
inline constexpr std::size_t kMaxPathBytes = 4095;
inline constexpr std::size_t kMaxNameBytes = 255;  // one component of a path
inline constexpr int kMaxTreeDepth = 200;          // folders within each other that a scan enters

struct ChunkRef {
  Hash hash;
  std::uint32_t size = 0;  // bytes, 1 … kMaxChunkBytes
  friend bool operator==(const ChunkRef&, const ChunkRef&) = default;
};

enum class TreeMode : std::uint8_t {
  kFile = 0,
  kExecutable = 1,
  kSymlink = 2,
  kDirectory = 3,  // an empty directory; the paths beneath any other directory imply it
};

struct TreeEntry {
  std::string path;  // relative, with '/' between components
  TreeMode mode = TreeMode::kFile;
  std::uint64_t size = 0;        // a file's bytes, the sum of its chunks' sizes; else 0
  std::vector<ChunkRef> chunks;  // a file's chunks in order; an empty file has none
  std::string target;            // a symlink's target: relative, stays inside the tree
  friend bool operator==(const TreeEntry&, const TreeEntry&) = default;
};

struct Tree {
  std::vector<TreeEntry> entries;  // in TreePathLess order

  std::uint64_t TotalBytes() const;  // the sum over all files
  // Returns every chunk once, in the order of first use.
  std::vector<ChunkRef> UniqueChunks() const;
  // Returns the entry at exactly `path`, or null.
  const TreeEntry* Find(std::string_view path) const;

  friend bool operator==(const Tree&, const Tree&) = default;
};

// Orders paths bytewise with '/' below every other byte, so that the paths beneath a path follow it directly.
bool TreePathLess(std::string_view a, std::string_view b);

// Accepts a path that may stand in a tree: relative, not empty, without empty, "." or ".." components, without NUL,
// within the length limits. kInvalid: the message names the path and says what is wrong with it.
Status ValidateTreePath(std::string_view path);

// Accepts a whole tree: every path is valid, the paths are sorted, none is there twice, nothing lies beneath a file,
// link or recorded directory, every link's target is inside the tree (also by way of other links), and chunk sizes are
// within limits and add up.
Status ValidateTree(const Tree& tree);

// Takes the links that ValidateTree refuses out of an otherwise valid tree, and returns the words about each.
std::vector<std::string> TakeOutBadLinks(Tree& tree);

// Sorts the entries, then validates them. Code that builds a tree itself (from a git commit, say) uses MakeTree.
Result<Tree> MakeTree(std::vector<TreeEntry> entries);

struct EncodedTree {
  std::string bytes;
  Hash name;  // HashOf(bytes)
};

// Validates and encodes a tree. kInvalid: the tree is not valid, or its encoding is longer than kMaxBlobBytes.
Result<EncodedTree> EncodeTree(const Tree& tree);

// Decodes and checks a tree from outside; only DecodeTree does so. A returned tree is valid and encodes to the same
// bytes again. kCorrupt: the bytes are truncated, garbage or not canonical; kInvalid: the message names the forbidden
// path, link or size.
Result<Tree> DecodeTree(std::span<const std::byte> bytes);

}  // namespace furrow
