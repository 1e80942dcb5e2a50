#include "common/chunks/chunker.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "common/base/hash.h"
#include "tests/support/random_bytes.h"

using namespace furrow;

namespace {

std::vector<std::size_t> Cut(std::span<const std::byte> data) {
  std::vector<std::size_t> lengths;
  while (!data.empty()) {
    lengths.push_back(FirstChunk(data));
    data = data.subspan(lengths.back());
  }
  return lengths;
}

std::vector<std::size_t> CutInPieces(std::span<const std::byte> data, std::size_t piece) {
  Chunker chunker;
  std::vector<std::size_t> lengths;
  std::size_t open = 0;
  while (!data.empty()) {
    std::span<const std::byte> buffer = data.first(std::min(piece, data.size()));
    data = data.subspan(buffer.size());
    while (!buffer.empty()) {
      const Chunker::Step step = chunker.Scan(buffer);
      open += step.bytes;
      if (step.cut) lengths.push_back(std::exchange(open, 0));
      buffer = buffer.subspan(step.bytes);
    }
  }
  if (open > 0) lengths.push_back(open);
  return lengths;
}

std::multiset<Hash> Chunks(std::span<const std::byte> data) {
  std::multiset<Hash> chunks;
  for (const std::size_t length : Cut(data)) {
    chunks.insert(HashOf(data.first(length)));
    data = data.subspan(length);
  }
  return chunks;
}

std::size_t NotIn(const std::multiset<Hash>& a, const std::multiset<Hash>& b) {
  std::vector<Hash> left;
  std::set_difference(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(left));
  return left.size();
}

}  // namespace

TEST_CASE("chunker: the cuts are part of the format and never change") {
  const std::string data = RandomBytes(2 << 20, 7);
  CHECK(Cut(AsBytes(data)) ==
        std::vector<std::size_t>{259377, 297770, 127843, 220711, 237728, 262495, 335803, 207169, 148256});
}

TEST_CASE("chunker: lengths stay within the limits and near the average") {
  const std::string data = RandomBytes(32 << 20, 1);
  const std::vector<std::size_t> lengths = Cut(AsBytes(data));
  for (std::size_t i = 0; i + 1 < lengths.size(); ++i) {
    CHECK(lengths[i] > kMinChunkBytes);
    CHECK(lengths[i] <= kMaxChunkBytes);
  }
  const double average = static_cast<double>(data.size()) / static_cast<double>(lengths.size());
  CHECK(average > 0.85 * kAverageChunkBytes);
  CHECK(average < 1.15 * kAverageChunkBytes);
}

TEST_CASE("chunker: bytes without any variation are cut at the maximum") {
  const std::string data(3 << 20, '\0');
  CHECK(Cut(AsBytes(data)) == std::vector<std::size_t>{kMaxChunkBytes, kMaxChunkBytes, kMaxChunkBytes});
}

TEST_CASE("chunker: a file up to the minimum is one chunk") {
  const std::string data = RandomBytes(kMinChunkBytes, 2);
  for (const std::size_t size : {std::size_t{1}, std::size_t{1000}, kMinChunkBytes - 1, kMinChunkBytes})
    CHECK(FirstChunk(AsBytes(data).first(size)) == size);
  CHECK(FirstChunk({}) == 0);
}

TEST_CASE("chunker: the cuts do not depend on how the stream was split into buffers") {
  const std::string data = RandomBytes(3 << 20, 3);
  const std::vector<std::size_t> whole = Cut(AsBytes(data));
  for (const std::size_t piece : {std::size_t{977}, std::size_t{4096}, kMinChunkBytes, std::size_t{1'000'003}})
    CHECK(CutInPieces(AsBytes(data), piece) == whole);
}

TEST_CASE("chunker: one changed, added or removed byte in 64 MiB changes at most three chunks") {
  const std::string before = RandomBytes(64 << 20, 4);
  const std::multiset<Hash> chunks = Chunks(AsBytes(before));
  // Three edits far apart, one of each kind, in one pass: no more than three chunks each.
  std::string after = before;
  after[10'000'000] = static_cast<char>(after[10'000'000] ^ 1);
  CHECK(NotIn(Chunks(AsBytes(after)), chunks) <= 3);
  after.insert(30'000'000, 1, 'x');
  CHECK(NotIn(Chunks(AsBytes(after)), chunks) <= 6);
  after.erase(50'000'000, 1);
  CHECK(NotIn(Chunks(AsBytes(after)), chunks) <= 9);
}
