#include "agent/torch/idx.h"

#include <doctest/doctest.h>

#include "tests/agent/torch/files.h"

using namespace furrow;
using namespace furrow::steps;

TEST_CASE("idx: shape and values, plain and gzip") {
  const Folder folder;
  const std::string bytes = Idx({2, 1, 3}, "abcdef");
  for (const auto& file : {folder.Write("plain", bytes), folder.Write("packed", Gzip(bytes))}) {
    const auto array = ReadIdx(file);
    REQUIRE(array);
    CHECK(array->shape == Shape{2, 1, 3});
    CHECK(std::get<std::vector<std::uint8_t>>(array->values) ==
          std::vector<std::uint8_t>{'a', 'b', 'c', 'd', 'e', 'f'});
  }
}

TEST_CASE("idx: truncated and too long files say expected and found bytes") {
  const Folder folder;
  const std::string bytes = Idx({2, 3}, "abcdef");  // 12 bytes of header
  const auto cut = ReadIdx(folder.Write("cut", bytes.substr(0, 15)));
  REQUIRE(!cut);
  CHECK(Has(cut.error().message, "cut: truncated: its header says [2, 3], so 18 bytes were expected, 15 found"));
  CHECK(Has(ReadIdx(folder.Write("long", bytes + "g")).error().message, "18 bytes were expected, 19 found"));
  CHECK(
      Has(ReadIdx(folder.Write("head", bytes.substr(0, 7))).error().message, "a header of 12 bytes expected, 7 found"));
}

TEST_CASE("idx: wrong magic shows the bytes found, another type its number") {
  const Folder folder;
  CHECK(Has(ReadIdx(folder.Write("text", "hello")).error().message, "is no IDX file: it starts with 68 65 6c 6c 6f"));
  CHECK(Has(ReadIdx(folder.Write("empty", "")).error().message, "starts with nothing"));
  std::string floats = Idx({1}, "abcd");
  floats[2] = 0x0d;
  CHECK(Has(ReadIdx(folder.Write("floats", floats)).error().message, "type 0x0d"));
}

TEST_CASE("idx: sizes whose product does not fit are refused, not allocated") {
  const Folder folder;
  const auto huge = ReadIdx(folder.Write("huge", Idx({4'000'000'000, 4'000'000'000, 4'000'000'000}, "")));
  REQUIRE(!huge);
  CHECK(Has(huge.error().message, "too large"));
}
