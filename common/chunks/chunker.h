// Cuts files into chunks by content, so that a small edit changes few chunks (FastCDC: W. Xia et al., USENIX ATC 2016).
// Stored data depends on the cuts: the table, the sizes and the rule in chunker.cpp are fixed for good.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace furrow {

inline constexpr std::size_t kMinChunkBytes = 64 << 10;  // a file up to this size is one chunk
inline constexpr std::size_t kAverageChunkBytes = 256 << 10;
inline constexpr std::size_t kMaxChunkBytes = 1 << 20;

// Finds cuts in a stream that arrives in buffers of any size; the cuts do not depend on the buffers.
//   for (each buffer) while (!buffer.empty()) {
//     auto step = chunker.Scan(buffer);       // buffer.first(step.bytes) belongs to the current chunk
//     if (step.cut) …the chunk is complete…   // at the end of the stream the open chunk, if any, is complete too
//     buffer = buffer.subspan(step.bytes);
//   }
class Chunker {
 public:
  struct Step {
    std::size_t bytes;  // taken from the front of the buffer; the whole buffer if no cut was found
    bool cut;           // a chunk ends after these bytes
  };

  Step Scan(std::span<const std::byte> buffer);

 private:
  std::uint64_t fingerprint_ = 0;
  std::size_t length_ = 0;  // the length of the open chunk so far
};

// Returns the length of the first chunk of `data`, whose end is the stream's end: at most kMaxChunkBytes, and
// data.size() if no cut lies inside. 0 only for empty data.
std::size_t FirstChunk(std::span<const std::byte> data);

// Returns whether all bytes are 0.
bool IsZero(std::span<const std::byte> bytes);

}  // namespace furrow
