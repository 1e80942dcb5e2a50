// Packs: the large chunks that arrived together, in one file instead of one each. A file system spends more on making
// a file than on writing 256 KiB to it (on ext4 without a journal 0.4 to 1 ms where many were deleted lately).
// Layout: controller/STORE.md, "Packs". Used by store*.cpp.
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
  std::uint32_t offset = 0;  // in the pack
  std::uint32_t size = 0;
};

// A pack while it is written. It is whole, and may be published, after Finish.
class PackBuilder {
 public:
  static constexpr std::uint64_t kMaxBytes = 1ULL << 30;

  // Makes the file `name` in the folder `dir_fd`, which is borrowed.
  static Result<std::unique_ptr<PackBuilder>> Create(int dir_fd, std::string name);

  // Takes the room for a chunk; nothing if the pack is full. Any thread.
  std::optional<std::uint32_t> Reserve(std::size_t bytes);
  // Writes a chunk to its room. kUnavailable: disk full. Any thread.
  Status Write(std::uint32_t offset, const Hash& hash, std::span<const std::byte> bytes);

  // Writes the index and makes the whole file survive a power cut. When no Write is under way.
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
  std::vector<PackedChunk> chunks_;  // written
};

// The published packs of a store and the index of their chunks, which is kept in memory: about 75 bytes a chunk, so
// 300 MB for a terabyte. Any thread.
class ChunkPacks {
 public:
  struct Location {
    FileHandle file;
    std::string pack;  // its file's name
    std::uint64_t offset = 0, size = 0;
  };

  // Reads the indexes of the packs in `<root>/packs`, which is made if need be. A pack whose index is damaged is put
  // aside in `<root>/corrupt`, with a warning: its chunks are then not here.
  static Result<std::unique_ptr<ChunkPacks>> Open(int root_fd, const std::string& root);

  bool Has(const Hash& hash) const;
  // Opens the chunk's pack. kNotFound.
  Result<Location> Find(const Hash& hash) const;
  // Never uses this copy of the chunk again, restarts included.
  void Forget(const Hash& hash);

  // Moves a finished pack from the folder `from_fd` into place; its chunks are present from now on. That its name
  // survives a power cut is up to the caller: the folder is "packs" in the root.
  Status Publish(int from_fd, const PackBuilder& pack);

 private:
  struct Entry {
    std::uint32_t pack;   // in names_
    std::uint32_t index;  // in the pack's index
    std::uint32_t offset, size;
  };

  ChunkPacks(FileHandle folder, std::string path) : folder_(std::move(folder)), path_(std::move(path)) {}
  Status Load(const std::string& name);
  void Index(const std::string& name, std::span<const PackedChunk> chunks);

  const FileHandle folder_;
  const std::string path_;
  mutable std::shared_mutex mutex_;  // guards the following
  std::vector<std::string> names_;
  std::unordered_map<Hash, Entry> chunks_;
};

}  // namespace furrow
