// Packs keep the large chunks that arrived together in one file instead of one file each. A file system spends more on
// making a file than on writing 256 KiB to it (on ext4 without a journal 0.4 to 1 ms where many files were deleted
// lately). controller/STORE.md, "Packs", defines the layout. store*.cpp uses this header.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/base/error.h"
#include "common/base/file_io.h"
#include "common/base/ids.h"

namespace furrow {

struct PackedChunk {
  Hash hash;
  std::uint32_t offset = 0;  // the chunk's offset in the pack
  std::uint32_t size = 0;
};

// Writes a pack. The pack is whole, and may be published, after Finish.
class PackBuilder {
 public:
  static constexpr std::uint64_t kMaxBytes = 1ULL << 30;

  // Makes the file `name` in the folder `dir_fd`, which is borrowed.
  static Result<std::unique_ptr<PackBuilder>> Create(int dir_fd, std::string name);

  // Reserves room for a chunk; nothing if the pack is full. Any thread may call it.
  std::optional<std::uint32_t> Reserve(std::size_t bytes);
  // Writes a chunk to its room. kUnavailable: the disk is full. Any thread may call it.
  Status Write(std::uint32_t offset, const Hash& hash, std::span<const std::byte> bytes);

  // Writes the index and makes the whole file survive a power cut. No Write may be under way.
  Status Finish();

  const std::string& name() const { return name_; }
  std::size_t Count() const { return chunks_.size(); }
  const std::vector<PackedChunk>& chunks() const { return chunks_; }

 private:
  PackBuilder(FileHandle file, std::string name) : file_(std::move(file)), name_(std::move(name)) {}

  const FileHandle file_;
  const std::string name_;
  std::atomic<std::uint64_t> end_{0};
  std::mutex mutex_;
  std::vector<PackedChunk> chunks_;  // the chunks written so far
};

// Holds the published packs of a store and the index of their chunks. The index is in memory: about 75 bytes a chunk,
// so 300 MB for a terabyte. Any thread may use it.
class ChunkPacks {
 public:
  struct Location {
    FileHandle file;
    std::string pack;  // the name of the pack's file
    std::uint64_t offset = 0, size = 0;
  };

  // Reads the indexes of the packs in `<root>/packs`, which is made if it is missing. A pack with a damaged index is
  // moved to `<root>/corrupt` with a warning: the store then lacks its chunks.
  static Result<std::unique_ptr<ChunkPacks>> Open(int root_fd, const std::string& root);

  bool Has(const Hash& hash) const;
  // Opens the chunk's pack. kNotFound: no pack has the chunk.
  Result<Location> Find(const Hash& hash) const;
  // Makes sure that this copy of the chunk is never used again, restarts included.
  void Forget(const Hash& hash);

  // Moves a finished pack from the folder `from_fd` into place; its chunks are present from now on. The caller syncs
  // the folder "packs" in the root, so that the pack's name survives a power cut.
  Status Publish(int from_fd, const PackBuilder& pack);

 private:
  struct Entry {
    std::uint32_t pack;   // an index in names_
    std::uint32_t index;  // the chunk's index in the pack
    std::uint32_t offset, size;
  };

  ChunkPacks(FileHandle folder, std::string path) : folder_(std::move(folder)), path_(std::move(path)) {}
  Status Load(const std::string& name);
  void Index(const std::string& name, std::span<const PackedChunk> chunks);

  const FileHandle folder_;
  const std::string path_;
  mutable std::shared_mutex mutex_;  // guards the following fields
  std::vector<std::string> names_;
  std::unordered_map<Hash, Entry> chunks_;
};

}  // namespace furrow
