// A log travels and lies on disk as frames, each a header and an independent zstd frame of up to 1 MiB of output.
// controller/STORE.md, "Log files", defines the bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "common/base/error.h"
#include "common/base/ids.h"

struct ZSTD_CCtx_s;
struct ZSTD_DCtx_s;

namespace furrow {

inline constexpr std::size_t kMaxFrameRawBytes = 1 << 20;
inline constexpr std::size_t kFrameHeaderBytes = 48;
// A frame takes at most so many bytes, header included (ZSTD_COMPRESSBOUND of 1 MiB and room for zstd's own header).
inline constexpr std::size_t kMaxFrameBytes = kFrameHeaderBytes + kMaxFrameRawBytes + (kMaxFrameRawBytes >> 8) + 64;

struct FrameHeader {
  AttemptRef attempt;
  std::uint64_t raw_offset = 0;         // offset of the frame's first byte in the log
  std::uint32_t raw_length = 0;         // bytes, 1 … kMaxFrameRawBytes
  std::uint32_t lines = 0;              // newlines in the frame
  std::uint32_t compressed_length = 0;  // bytes after the header

  std::size_t FrameBytes() const { return kFrameHeaderBytes + compressed_length; }
  friend bool operator==(const FrameHeader&, const FrameHeader&) = default;
};

// Counts the '\n' in `bytes`.
std::uint32_t CountLines(std::span<const std::byte> bytes);

// Computes the CRC-32C (Castagnoli) of iSCSI: the CRC of "123456789" is 0xE3069283.
std::uint32_t Crc32c(std::span<const std::byte> bytes);

// Makes frames. An encoder keeps a zstd context: make one and use it for many frames, on one thread at a time.
class FrameEncoder {
 public:
  // This is a level of zstd. A GiB of training log, in 1 MiB frames, shrinks to 17.3 % in 2.5 s at level 1, to 25.6 %
  // in 2.0 s at level -1 and to 28.8 % in 1.6 s at level -3. A job that prints as fast as it can waits for the encoder.
  static constexpr int kDefaultLevel = -3;

  explicit FrameEncoder(int level = kDefaultLevel);
  ~FrameEncoder();
  FrameEncoder(const FrameEncoder&) = delete;
  FrameEncoder& operator=(const FrameEncoder&) = delete;

  // Appends one frame of `raw` (1 … kMaxFrameRawBytes bytes) to `out` and returns its header.
  FrameHeader Append(AttemptRef attempt, std::uint64_t raw_offset, std::span<const std::byte> raw, std::string& out);

 private:
  ZSTD_CCtx_s* context_;
  std::unique_ptr<std::byte[]> packed_;
};

// Reads the header at the front of `bytes`, which may go on behind the frame. kUnavailable: there are fewer than
// kFrameHeaderBytes bytes; kCorrupt: the bytes are no header, or one that is damaged, of another version or with a
// length beyond the caps.
Result<FrameHeader> ReadFrameHeader(std::span<const std::byte> bytes);

// Unpacks frames, never into more bytes than the header says and the cap allows. One thread at a time may use a
// decoder.
class FrameDecoder {
 public:
  FrameDecoder();
  ~FrameDecoder();
  FrameDecoder(const FrameDecoder&) = delete;
  FrameDecoder& operator=(const FrameDecoder&) = delete;

  // Decodes the frame at the front of `frame`, of which exactly header.FrameBytes() bytes are used. The returned bytes
  // stay valid until the next call. kCorrupt: the frame is truncated, damaged, or differs from its header (length, line
  // count).
  Result<std::span<const std::byte>> Decode(const FrameHeader& header, std::span<const std::byte> frame);

 private:
  ZSTD_DCtx_s* context_;
  std::unique_ptr<std::byte[]> raw_;
};

}  // namespace furrow
