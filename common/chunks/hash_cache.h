// Remembers the chunks of files that have not changed since they were hashed, so that a rescan reads none of them.
#pragma once

#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/base/error.h"
#include "common/chunks/tree.h"

namespace furrow {

// A file counts as unchanged while device, inode, size, mtime and ctime are the same. A file whose stamps are so fresh
// that a further write could leave them the same is never remembered. Any thread may use a HashCache.
class HashCache {
 public:
  // Reads the cache in `file`; Save may write in its folder. An absent, damaged or foreign file gives an empty cache.
  // `max_bytes` bounds memory and file: the entries that were not looked up for longest go first.
  static std::unique_ptr<HashCache> Open(std::string file, std::size_t max_bytes = 64 << 20);

  std::optional<std::vector<ChunkRef>> Find(const struct stat& status);

  // Remembers the chunks of a file whose `status` was taken before the file was read and was the same afterwards.
  // `read_started_ns` is the time (FileClockNs) before the first byte was read; a time too near to the stamps is
  // ignored.
  void Remember(const struct stat& status, std::int64_t read_started_ns, const std::vector<ChunkRef>& chunks);

  // Writes the cache (temp file, rename) if it has changed; a power cut loses the old or the new file, at worst both.
  Status Save();

  std::size_t Count() const;

  // Reads the clock that makes file stamps, in nanoseconds since 1970.
  static std::int64_t FileClockNs();
  // Returns the FileClockNs() from which a file with these stamps can be remembered.
  static std::int64_t SettledAtNs(const struct stat& status);

 private:
  struct Key {
    std::uint64_t device;
    std::uint64_t inode;
    friend bool operator==(const Key&, const Key&) = default;
  };
  struct KeyHash {
    std::size_t operator()(const Key& key) const noexcept {
      return static_cast<std::size_t>((key.device * 0x9E3779B97F4A7C15ULL) ^ key.inode);
    }
  };
  struct Entry {
    std::uint64_t size;
    std::int64_t mtime_ns;
    std::int64_t ctime_ns;
    std::uint64_t last_use;  // the generation of the last look-up
    std::vector<ChunkRef> chunks;
  };

  HashCache(std::string file, std::size_t max_bytes) : file_(std::move(file)), max_bytes_(max_bytes) {}
  bool Load(const std::string& bytes);
  void Shrink();

  const std::string file_;
  const std::size_t max_bytes_;
  mutable std::mutex mutex_;
  std::unordered_map<Key, Entry, KeyHash> entries_;
  std::size_t bytes_ = 0;         // the encoded size of all entries
  std::uint64_t generation_ = 1;  // counts the calls of Open
  bool changed_ = false;
};

}  // namespace furrow
