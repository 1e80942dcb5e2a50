#include "common/logs/frames.h"

#include <zstd.h>

#include <array>
#include <cstring>

#include "common/base/bytes.h"
#include "common/base/check.h"

namespace furrow {
namespace {

constexpr std::uint32_t kMagic = 0x31474C46;  // "FLG1"
constexpr std::uint8_t kVersion = 1;

constexpr std::array<std::uint32_t, 256> MakeCrcTable() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) != 0 ? 0x82F63B78U : 0);
    table[i] = value;
  }
  return table;
}

constexpr std::array<std::uint32_t, 256> kCrcTable = MakeCrcTable();

static_assert(ZSTD_COMPRESSBOUND(kMaxFrameRawBytes) + kFrameHeaderBytes <= kMaxFrameBytes);

}  // namespace

std::uint32_t CountLines(std::span<const std::byte> bytes) {
  // The loop compares 16 bytes at a time and counts in bytes: a comparison gives -1 where it holds, and 255 rounds fit
  // into a byte.
  using Vector = std::uint8_t __attribute__((vector_size(16)));
  std::uint32_t lines = 0;
  std::size_t i = 0;
  while (i + sizeof(Vector) <= bytes.size()) {
    Vector counts{};
    for (int round = 0; round < 255 && i + sizeof(Vector) <= bytes.size(); ++round, i += sizeof(Vector)) {
      Vector block;
      std::memcpy(&block, bytes.data() + i, sizeof(block));
      counts -= static_cast<Vector>(block == static_cast<std::uint8_t>('\n'));
    }
    for (std::size_t k = 0; k < sizeof(Vector); ++k) lines += counts[k];
  }
  for (; i < bytes.size(); ++i) lines += bytes[i] == std::byte{'\n'} ? 1 : 0;
  return lines;
}

std::uint32_t Crc32c(std::span<const std::byte> bytes) {
  std::uint32_t crc = 0xFFFFFFFFU;
  for (const std::byte byte : bytes) crc = (crc >> 8) ^ kCrcTable[(crc ^ static_cast<std::uint32_t>(byte)) & 0xFF];
  return ~crc;
}

FrameEncoder::FrameEncoder(int level) : context_(ZSTD_createCCtx()), packed_(new std::byte[kMaxFrameBytes]) {
  FURROW_CHECK(context_ != nullptr, "zstd makes a context");
  ZSTD_CCtx_setParameter(context_, ZSTD_c_compressionLevel, level);
  ZSTD_CCtx_setParameter(context_, ZSTD_c_checksumFlag, 1);
}

FrameEncoder::~FrameEncoder() {
  ZSTD_freeCCtx(context_);
}

FrameHeader FrameEncoder::Append(AttemptRef attempt, std::uint64_t raw_offset, std::span<const std::byte> raw,
                                 std::string& out) {
  FURROW_CHECK(!raw.empty() && raw.size() <= kMaxFrameRawBytes, "a frame has 1 byte to 1 MiB");
  const std::size_t packed = ZSTD_compress2(context_, packed_.get(), kMaxFrameBytes, raw.data(), raw.size());
  FURROW_CHECK(ZSTD_isError(packed) == 0, "zstd compresses into a buffer of its own bound");

  const FrameHeader header{attempt, raw_offset, static_cast<std::uint32_t>(raw.size()), CountLines(raw),
                           static_cast<std::uint32_t>(packed)};
  const std::size_t begin = out.size();
  PutU32(out, kMagic);
  PutU32(out, kVersion);
  PutU64(out, Raw(attempt.job));
  PutU64(out, Raw(attempt.epoch));
  PutU64(out, raw_offset);
  PutU32(out, header.raw_length);
  PutU32(out, header.lines);
  PutU32(out, header.compressed_length);
  PutU32(out, Crc32c(std::as_bytes(std::span(out.data() + begin, out.size() - begin))));
  FURROW_CHECK(out.size() - begin == kFrameHeaderBytes, "the header's length is part of the format");
  out.append(reinterpret_cast<const char*>(packed_.get()), packed);
  return header;
}

Result<FrameHeader> ReadFrameHeader(std::span<const std::byte> bytes) {
  if (bytes.size() < kFrameHeaderBytes) return Fail(Errc::kUnavailable, "log frame: the header is not there wholly");
  bytes = bytes.first(kFrameHeaderBytes);
  ByteReader in(bytes);
  if (in.U32() != kMagic) return Fail(Errc::kCorrupt, "log frame: this is no frame");
  const std::uint32_t version = in.U32();
  FrameHeader header;
  header.attempt.job = JobId{in.U64()};
  header.attempt.epoch = Epoch{in.U64()};
  header.raw_offset = in.U64();
  header.raw_length = in.U32();
  header.lines = in.U32();
  header.compressed_length = in.U32();
  if (in.U32() != Crc32c(bytes.first(kFrameHeaderBytes - 4)))
    return Fail(Errc::kCorrupt, "log frame: the header is damaged");
  if (version != kVersion)
    return Fail(Errc::kCorrupt, "log frame: version " + std::to_string(version) + "; this program knows version 1");
  if (header.raw_length == 0 || header.raw_length > kMaxFrameRawBytes || header.lines > header.raw_length ||
      header.compressed_length == 0 || header.FrameBytes() > kMaxFrameBytes ||
      header.raw_offset > UINT64_MAX - header.raw_length)
    return Fail(Errc::kCorrupt, "log frame: impossible lengths");
  return header;
}

FrameDecoder::FrameDecoder() : context_(ZSTD_createDCtx()), raw_(new std::byte[kMaxFrameRawBytes]) {
  FURROW_CHECK(context_ != nullptr, "zstd makes a context");
}

FrameDecoder::~FrameDecoder() {
  ZSTD_freeDCtx(context_);
}

Result<std::span<const std::byte>> FrameDecoder::Decode(const FrameHeader& header, std::span<const std::byte> frame) {
  const auto corrupt = [&](const char* what) {
    return Fail(Errc::kCorrupt, "log frame at byte " + std::to_string(header.raw_offset) + ": " + what);
  };
  FURROW_CHECK(header.raw_length <= kMaxFrameRawBytes, "headers come from ReadFrameHeader");
  if (frame.size() < header.FrameBytes()) return corrupt("it is not there wholly");
  const std::span<const std::byte> packed = frame.subspan(kFrameHeaderBytes, header.compressed_length);
  // The bytes must be exactly one zstd frame. The length that the frame declares is checked before anything is
  // unpacked, and the given capacity bounds the output whatever the frame declares.
  if (ZSTD_findFrameCompressedSize(packed.data(), packed.size()) != packed.size())
    return corrupt("it does not hold exactly one zstd frame");
  if (ZSTD_getFrameContentSize(packed.data(), packed.size()) != header.raw_length)
    return corrupt("its content has another length than its header says");
  const std::size_t got = ZSTD_decompressDCtx(context_, raw_.get(), header.raw_length, packed.data(), packed.size());
  if (ZSTD_isError(got) != 0) return corrupt(ZSTD_getErrorName(got));
  const std::span<const std::byte> raw(raw_.get(), got);
  if (got != header.raw_length || CountLines(raw) != header.lines)
    return corrupt("its content is not what its header says");
  return raw;
}

}  // namespace furrow
