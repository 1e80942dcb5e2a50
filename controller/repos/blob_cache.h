// What is known of a repository's files: git blob → size and chunks. Lets an import read and hash only the
// files that changed. A file of its own per repository, appended to; one process at a time.
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
    std::size_t value;  // the id is uniform already
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
  // Reads `file`. One that is missing, damaged or has outgrown its use is an empty cache: nothing is lost but time.
  explicit BlobCache(std::string file);

  const KnownBlob* Find(const BlobId& blob) const;  // valid until the next Add
  const KnownBlob& Add(const BlobId& blob, KnownBlob known);

  // Appends what was added. A failure is ignored; it costs time only.
  void Save();

 private:
  void Read();

  const std::string file_;
  std::unordered_map<BlobId, KnownBlob, BlobIdHash> blobs_;
  std::string added_;      // encoded
  std::size_t whole_ = 0;  // length of the file's undamaged front
};

}  // namespace furrow::repos
