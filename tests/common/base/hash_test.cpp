#include "common/base/hash.h"

#include <doctest/doctest.h>

#include <string>
#include <utility>

using namespace furrow;

TEST_CASE("hash: SHA-256 of the standard's examples") {
  CHECK(HashOf("abc").ToHex() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(HashOf("").ToHex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST_CASE("hash: pieces give what the whole gives, and more may follow a digest") {
  Sha256 sha;
  sha.Update(AsBytes("a"));
  CHECK(sha.Digest() == HashOf("a"));
  sha.Update(AsBytes("bc"));
  CHECK(sha.Digest() == HashOf("abc"));
  Sha256 moved = std::move(sha);
  CHECK(moved.Digest() == HashOf("abc"));
  moved.Reset();
  CHECK(moved.Digest() == HashOf(""));
}
