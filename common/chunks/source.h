// Where chunks can be read from: a store, or the files that a scan has seen.
#pragma once

#include <cstddef>
#include <span>

#include "common/base/error.h"
#include "common/chunks/tree.h"

namespace furrow {

class ChunkSource {
 public:
  virtual ~ChunkSource() = default;

  // Fills `out`, which has exactly chunk.size bytes, with the chunk, its hash checked. Any thread.
  // kNotFound: not here; kCorrupt: damaged here (a store has put it aside). `out` is then meaningless.
  virtual Status Read(const ChunkRef& chunk, std::span<std::byte> out) = 0;
};

}  // namespace furrow
