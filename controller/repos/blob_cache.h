// A BlobCache knows a repository's files: git blob → size and chunks. With the cache an import reads and hashes only
// the files that changed. Each repository has its own cache file, which is appended to; one process at a time may use
// the file.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/base/error.h"
#include "common/chunks/tree.h"

namespace furrow::repos {

using BlobId = std::array<std::uint8_t, 20>;

struct BlobIdHash {
  std::size_t operator()(const BlobId& id) const {
    std::size_t value;  // The id is already uniform.
    std::memcpy(&value, id.data(), sizeof(value));
    return value;
  }
};

struct KnownBlob {
  std::uint64_t size = 0;
  std::vector<ChunkRef> chunks;
};

class BlobCache {
 public:
  // Reads `file`. A file that is missing, damaged or too large counts as an empty cache, which costs only time.
  explicit BlobCache(std::string file);

  const KnownBlob* Find(const BlobId& blob) const;  // The result is valid until the next Add.
  const KnownBlob& Add(const BlobId& blob, KnownBlob known);

  // Appends the added blobs to the file. A failure is ignored, because it costs only time.
  void Save();

 private:
  void Read();

  const std::string file_;
  std::unordered_map<BlobId, KnownBlob, BlobIdHash> blobs_;
  std::string added_;      // the added blobs, encoded
  std::size_t whole_ = 0;  // the length of the file's undamaged front
};

}  // namespace furrow::repos
