#include "controller/bulk/trees.h"

#include <doctest/doctest.h>

#include "common/base/hash.h"
#include "tests/support/temp_folder.h"

using namespace furrow;

TEST_CASE("blobs: a tree is committed only when it and all its chunks are there") {
  TempFolder folder;
  const auto store = ChunkStore::Open(folder / "blobs").value();
  const auto file = [](std::string path, std::string_view content) {
    TreeEntry entry;
    entry.path = std::move(path);
    entry.size = content.size();
    entry.chunks = {{HashOf(content), static_cast<std::uint32_t>(content.size())}};
    return entry;
  };
  const Tree tree = MakeTree({file("a", "one"), file("b", "two"), file("c", "one")}).value();
  const EncodedTree encoded = EncodeTree(tree).value();

  CHECK(CommitTree(*store, encoded.name).value().missing == std::vector<Hash>{encoded.name});
  REQUIRE(store->Put(encoded.name, AsBytes(encoded.bytes)));
  CHECK(CommitTree(*store, encoded.name).value().missing == std::vector<Hash>{HashOf("one"), HashOf("two")});
  REQUIRE(store->Put(AsBytes("one")));
  CHECK(CommitTree(*store, encoded.name).value().missing == std::vector<Hash>{HashOf("two")});
  REQUIRE(store->Put(AsBytes("two")));
  const TreeCommit commit = CommitTree(*store, encoded.name).value();
  CHECK(commit.missing.empty());
  CHECK(commit.bytes == 9);
  CHECK(commit.files == 3);
  CHECK(LoadTree(*store, encoded.name).value() == tree);
}

TEST_CASE("blobs: a blob that is no tree cannot be committed as one") {
  TempFolder folder;
  const auto store = ChunkStore::Open(folder / "blobs").value();
  const Hash hash = store->Put(AsBytes("no tree")).value();
  CHECK(CommitTree(*store, hash).error().code == Errc::kCorrupt);
}
