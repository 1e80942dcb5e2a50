// A tree: the one form in which sources, artifacts, caches, models and datasets are named, stored and moved.
// Its name is the SHA-256 of its canonical encoding (controller/STORE.md, "Trees"); equal content, equal name.
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

// The encoding is stored as a blob under the tree's name; this caps it, and so every blob. At 36 bytes a chunk that is
// about 1.8 million chunks, or 450 GiB of large files. Above kMaxChunkBytes a blob travels in parts.
inline constexpr std::size_t kMaxBlobBytes = 64 << 20;
inline constexpr std::size_t kMaxPathBytes = 4095;
inline constexpr std::size_t kMaxNameBytes = 255;  // one component of a path

struct ChunkRef {
  Hash hash;
  std::uint32_t size = 0;  // bytes, 1 … kMaxChunkBytes
  friend bool operator==(const ChunkRef&, const ChunkRef&) = default;
};

enum class TreeMode : std::uint8_t {
  kFile = 0,
  kExecutable = 1,
  kSymlink = 2,
  kDirectory = 3,  // an empty directory; any other is implied by the paths beneath it
};

struct TreeEntry {
  std::string path;  // relative, '/' between components
  TreeMode mode = TreeMode::kFile;
  std::uint64_t size = 0;        // files: bytes, the sum of the chunks' sizes; else 0
  std::vector<ChunkRef> chunks;  // files: in order; an empty file has none
  std::string target;            // symlinks only: relative, stays inside the tree
  friend bool operator==(const TreeEntry&, const TreeEntry&) = default;
};

struct Tree {
  std::vector<TreeEntry> entries;  // in TreePathLess order

  std::uint64_t TotalBytes() const;  // of all files
  // Every chunk once, in the order of first use.
  std::vector<ChunkRef> UniqueChunks() const;
  // The entry at exactly `path`, or null.
  const TreeEntry* Find(std::string_view path) const;

  friend bool operator==(const Tree&, const Tree&) = default;
};

// Orders paths bytewise with '/' below every other byte, so that what lies beneath a path follows it directly.
bool TreePathLess(std::string_view a, std::string_view b);

// Accepts a path that may stand in a tree: relative, not empty, without empty, "." or ".." components, without NUL,
// within the length limits. kInvalid names the path and what is wrong with it.
Status ValidateTreePath(std::string_view path);

// Accepts a whole tree: every path valid, sorted, none twice, nothing beneath a file, link or recorded directory, every
// link's target inside the tree (also by way of other links), chunk sizes within limits and adding up.
Status ValidateTree(const Tree& tree);

// Sorts the entries, then validates. The way to make a tree by hand (from a git commit, say).
Result<Tree> MakeTree(std::vector<TreeEntry> entries);

struct EncodedTree {
  std::string bytes;
  Hash name;  // HashOf(bytes)
};

// Validates and encodes. kInvalid: not a valid tree, or more than kMaxBlobBytes encoded.
Result<EncodedTree> EncodeTree(const Tree& tree);

// The one place where a tree from outside is checked. Whatever it returns is valid and encodes to the same bytes again.
// kCorrupt: truncated, garbage or not canonical; kInvalid: a forbidden path, link or size, named.
Result<Tree> DecodeTree(std::span<const std::byte> bytes);

}  // namespace furrow
