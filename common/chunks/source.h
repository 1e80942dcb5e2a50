// A ChunkSource is where chunks can be read from: a store, or the files that a scan has seen.
#pragma once

#include <cstddef>
#include <span>

#include "common/base/error.h"
#include "common/chunks/tree.h"

namespace furrow {

class ChunkSource {
 public:
  virtual ~ChunkSource() = default;

  // Fills `out`, which has exactly chunk.size bytes, with the chunk and checks its hash. Any thread may call it.
  // kNotFound: the source lacks the chunk; kCorrupt: its copy is damaged (a store has put the copy aside). After an
  // error `out` is meaningless.
  virtual Status Read(const ChunkRef& chunk, std::span<std::byte> out) = 0;
};

}  // namespace furrow
