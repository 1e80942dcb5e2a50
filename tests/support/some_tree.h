// A tree of a few files, for tests of the chunk store.
#pragma once

#include <string>
#include <vector>

#include "common/base/hash.h"
#include "common/chunks/store.h"
#include "common/chunks/tree.h"

namespace furrow::test {

struct SomeTree {
  // Each content is a file of one chunk.
  explicit SomeTree(std::vector<std::string> contents) : chunks(std::move(contents)) {
    std::vector<TreeEntry> entries;
    for (const std::string& content : chunks) {
      TreeEntry file;
      file.path = "file" + std::to_string(entries.size());
      file.size = content.size();
      file.chunks = {{HashOf(content), static_cast<std::uint32_t>(content.size())}};
      entries.push_back(std::move(file));
    }
    encoded = EncodeTree(MakeTree(std::move(entries)).value()).value();
  }
  const Hash& name() const { return encoded.name; }
  // Stores the tree and its chunks.
  const SomeTree& In(ChunkStore& store) const {
    for (const std::string& chunk : chunks) (void)store.Put(AsBytes(chunk)).value();
    (void)store.Put(AsBytes(encoded.bytes)).value();
    return *this;
  }

  std::vector<std::string> chunks;
  EncodedTree encoded;
};

}  // namespace furrow::test
