#include "common/logs/frames.h"

#include <doctest/doctest.h>
#include <zstd.h>

#include <algorithm>
#include <string>

#include "common/base/bytes.h"
#include "common/base/hash.h"
#include "tests/support/random_bytes.h"

using namespace furrow;

namespace {

constexpr AttemptRef kAttempt{JobId{7}, Epoch{2}};

std::string Frame(std::string_view raw, std::uint64_t offset = 0) {
  FrameEncoder encoder;
  std::string out;
  encoder.Append(kAttempt, offset, AsBytes(raw), out);
  return out;
}

// A frame whose header says what it is told to, with a correct checksum, around any payload.
std::string Forge(std::uint32_t raw_length, std::uint32_t lines, std::string_view payload, std::uint32_t version = 1) {
  std::string out;
  PutU32(out, 0x31474C46);
  PutU32(out, version);
  PutU64(out, 7);
  PutU64(out, 2);
  PutU64(out, 0);
  PutU32(out, raw_length);
  PutU32(out, lines);
  PutU32(out, static_cast<std::uint32_t>(payload.size()));
  PutU32(out, Crc32c(AsBytes(out)));
  return out + std::string(payload);
}

std::string Compress(std::string_view raw) {
  std::string out(ZSTD_compressBound(raw.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), raw.data(), raw.size(), 3));
  return out;
}

Errc DecodeError(std::string_view frame) {
  const Result<FrameHeader> header = ReadFrameHeader(AsBytes(frame));
  if (!header) return header.error().code;
  FrameDecoder decoder;
  const auto raw = decoder.Decode(*header, AsBytes(frame));
  REQUIRE_FALSE(raw);
  return raw.error().code;
}

}  // namespace

TEST_CASE("log frames: what goes in comes out, with its place and its lines") {
  for (const std::string& raw : {std::string("x"), std::string("one\ntwo\n"), std::string(kMaxFrameRawBytes, '\n'),
                                 RandomBytes(kMaxFrameRawBytes, 1)}) {
    const std::string frame = Frame(raw, 12345) + "what follows";
    const FrameHeader header = ReadFrameHeader(AsBytes(frame)).value();
    CHECK(header.attempt == kAttempt);
    CHECK(header.raw_offset == 12345);
    CHECK(header.raw_length == raw.size());
    CHECK(header.lines == static_cast<std::uint32_t>(std::count(raw.begin(), raw.end(), '\n')));
    CHECK(header.FrameBytes() <= kMaxFrameBytes);
    FrameDecoder decoder;
    CHECK(AsText(decoder.Decode(header, AsBytes(frame)).value()) == raw);
  }
}

TEST_CASE("log frames: CRC-32C and the newline count are right") {
  CHECK(Crc32c(AsBytes("123456789")) == 0xE3069283);
  for (std::size_t size : {0, 1, 15, 16, 17, 255, 256, 4080, 4081, 10'000}) {
    const std::string some = RandomBytes(size, size);
    CHECK(CountLines(AsBytes(some)) == static_cast<std::uint32_t>(std::count(some.begin(), some.end(), '\n')));
    CHECK(CountLines(AsBytes(std::string(size, '\n'))) == size);
  }
}

TEST_CASE("log frames: no prefix of a frame decodes") {
  const std::string frame = Frame("some output\nand more\n");
  for (std::size_t length = 0; length < frame.size(); ++length) {
    const std::string prefix = frame.substr(0, length);
    CHECK(DecodeError(prefix) == (length < kFrameHeaderBytes ? Errc::kUnavailable : Errc::kCorrupt));
  }
}

TEST_CASE("log frames: every flipped bit is found") {
  const std::string raw = "step 1 loss 0.5\nstep 2 loss 0.4\nstep 3 loss 0.3\n";
  const std::string frame = Frame(raw);
  for (std::size_t bit = 0; bit < frame.size() * 8; ++bit) {
    std::string damaged = frame;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    const Result<FrameHeader> header = ReadFrameHeader(AsBytes(damaged));
    if (!header) continue;
    FrameDecoder decoder;
    const auto decoded = decoder.Decode(*header, AsBytes(damaged));
    // zstd's header has bits that mean nothing; whatever still decodes is the very same text.
    if (decoded) CHECK(AsText(*decoded) == raw);
  }
}

TEST_CASE("log frames: a bomb is refused by what it declares, and by what it does") {
  const std::string bomb = Compress(std::string(256 << 20, '\0'));
  REQUIRE(bomb.size() < 64 << 10);
  CHECK(DecodeError(Forge(1000, 0, bomb)) == Errc::kCorrupt);               // declares 256 MiB inside, 1000 outside
  CHECK(DecodeError(Forge(kMaxFrameRawBytes, 0, bomb)) == Errc::kCorrupt);  // the cap
  CHECK(DecodeError(Forge(256 << 20, 0, bomb)) == Errc::kCorrupt);          // beyond the cap outright

  // The content size inside made to lie: bytes 5 to 8 behind magic and descriptor, for a frame of this size.
  std::string liar = Compress(std::string(200'000, '\0'));
  REQUIRE(ZSTD_getFrameContentSize(liar.data(), liar.size()) == 200'000);
  std::string small = liar;
  for (std::size_t i = 5; i < 9; ++i) small[i] = static_cast<char>(1000U >> (8 * (i - 5)));
  REQUIRE(ZSTD_getFrameContentSize(small.data(), small.size()) == 1000);
  CHECK(DecodeError(Forge(1000, 0, small)) == Errc::kCorrupt);
}

TEST_CASE("log frames: a header that does not fit its content is refused") {
  const std::string payload = Compress("a\nb\n");
  CHECK(DecodeError(Forge(4, 3, payload)) == Errc::kCorrupt);            // lines
  CHECK(DecodeError(Forge(5, 2, payload)) == Errc::kCorrupt);            // length
  CHECK(DecodeError(Forge(4, 2, payload + payload)) == Errc::kCorrupt);  // two zstd frames
  CHECK(DecodeError(Forge(4, 2, payload + "x")) == Errc::kCorrupt);      // a tail
  CHECK(DecodeError(Forge(4, 2, "garbage")) == Errc::kCorrupt);
  CHECK(DecodeError(Forge(4, 2, "")) == Errc::kCorrupt);
  CHECK(DecodeError(Forge(0, 0, payload)) == Errc::kCorrupt);
  CHECK(DecodeError(Forge(4, 2, payload, 2)) == Errc::kCorrupt);  // a version from the future
}
