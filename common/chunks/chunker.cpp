// FastCDC rolls a gear hash over the bytes, fp = 2·fp + gear[byte] modulo 2^64, so that fp depends on the last 64 bytes
// only. A chunk ends behind a byte where fp, which is as good as random, is below a limit. The limit makes cuts rare
// (one byte in 2^20) before kNormalBytes and frequent (one in 2^16) behind it ("normalised chunking"), which keeps most
// chunks near the average. The first kMinChunkBytes of a chunk are skipped, save for the 64 bytes that fill the hash: a
// cut thus depends only on the 64 bytes before it and on its distance from the cut before.
#include "common/chunks/chunker.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace furrow {
namespace {

// gear[i] is the i-th output of SplitMix64 (S. Vigna; public domain) seeded with the bytes "Furrow01".
constexpr std::uint64_t kGearSeed = 0x467572726F773031ULL;

constexpr std::array<std::uint64_t, 256> MakeGear() {
  std::array<std::uint64_t, 256> gear{};
  std::uint64_t state = kGearSeed;
  for (std::uint64_t& value : gear) {
    state += 0x9E3779B97F4A7C15ULL;
    std::uint64_t z = state;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    value = z ^ (z >> 31);
  }
  return gear;
}

constexpr std::array<std::uint64_t, 256> kGear = MakeGear();

// With these constants, chunks of random bytes are 254 KiB on average.
constexpr std::size_t kNormalBytes = 208 << 10;
constexpr std::uint64_t kRareLimit = 1ULL << (64 - 20);
constexpr std::uint64_t kFrequentLimit = 1ULL << (64 - 16);
constexpr std::size_t kWindowBytes = 64;

inline std::uint64_t Roll(std::uint64_t fingerprint, std::byte byte) {
  return (fingerprint << 1) + kGear[static_cast<std::uint8_t>(byte)];
}

// Rolls over data[from, to) until the hash is below `limit`; returns the position behind that byte, or 0 if there is
// none.
std::size_t FindCut(const std::byte* data, std::size_t from, std::size_t to, std::uint64_t limit,
                    std::uint64_t& state) {
  std::uint64_t fingerprint = state;
  std::size_t i = from;
  for (; i + 4 <= to; i += 4) {
    const std::uint64_t a = Roll(fingerprint, data[i]);
    const std::uint64_t b = Roll(a, data[i + 1]);
    const std::uint64_t c = Roll(b, data[i + 2]);
    const std::uint64_t d = Roll(c, data[i + 3]);
    fingerprint = d;
    if (std::min(std::min(a, b), std::min(c, d)) < limit) {
      if (a < limit) return state = a, i + 1;
      if (b < limit) return state = b, i + 2;
      if (c < limit) return state = c, i + 3;
      return state = d, i + 4;
    }
  }
  for (; i < to; ++i) {
    fingerprint = Roll(fingerprint, data[i]);
    if (fingerprint < limit) return state = fingerprint, i + 1;
  }
  state = fingerprint;
  return 0;
}

}  // namespace

Chunker::Step Chunker::Scan(std::span<const std::byte> buffer) {
  // Positions below count from the chunk's beginning, which is `begin` bytes before the buffer.
  const std::size_t end = std::min(length_ + buffer.size(), kMaxChunkBytes);
  const std::size_t begin = length_;
  std::size_t at = std::max(begin, std::min(end, kMinChunkBytes - kWindowBytes));

  const auto stage = [&](std::size_t stop, std::uint64_t limit) -> std::size_t {
    stop = std::min(stop, end);
    if (at >= stop) return 0;
    const std::size_t cut = FindCut(buffer.data(), at - begin, stop - begin, limit, fingerprint_);
    at = stop;
    return cut == 0 ? 0 : begin + cut;
  };
  std::size_t cut = stage(kMinChunkBytes, 0);
  if (cut == 0) cut = stage(kNormalBytes, kRareLimit);
  if (cut == 0) cut = stage(kMaxChunkBytes, kFrequentLimit);
  if (cut == 0 && end == kMaxChunkBytes) cut = end;
  if (cut == 0) {
    length_ = end;
    return {end - begin, false};
  }
  fingerprint_ = 0;
  length_ = 0;
  return {cut - begin, true};
}

std::size_t FirstChunk(std::span<const std::byte> data) {
  return Chunker().Scan(data).bytes;
}

bool IsZero(std::span<const std::byte> bytes) {
  // The comparison of the bytes with themselves, moved by one, is as fast as memory.
  return bytes.empty() ||
         (bytes[0] == std::byte{0} && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
}

}  // namespace furrow
