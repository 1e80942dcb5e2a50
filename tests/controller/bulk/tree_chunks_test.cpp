#include "controller/bulk/tree_chunks.h"

#include <atomic>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>
#include <sys/stat.h>

#include "common/base/hash.h"
#include "tests/support/some_tree.h"
#include "tests/support/temp_folder.h"

namespace furrow::test {
namespace {

struct Rig {
  TempFolder folder;
  std::unique_ptr<ChunkStore> store = ChunkStore::Open(folder / "blobs").value();
};

std::vector<std::string> Contents(const std::string& name, int count) {
  std::vector<std::string> contents;
  for (int i = 0; i < count; ++i) contents.push_back(name + std::to_string(i));
  return contents;
}

TEST_CASE("tree chunks: a tree names its chunks and no others, and is decoded once") {
  Rig rig;
  TreeChunks known(*rig.store);
  for (const int count : {0, 1, 2, 1000}) {
    const SomeTree tree(Contents("tree" + std::to_string(count) + "/", count));
    tree.In(*rig.store);
    const auto before = known.Decoded();
    CHECK_FALSE(known.Recall(tree.name(), HashOf("other")));
    CHECK_FALSE(known.Names(tree.name(), HashOf("other")));
    for (const std::string& chunk : tree.chunks) CHECK(known.Names(tree.name(), HashOf(chunk)));
    CHECK(known.Recall(tree.name(), HashOf("other")) == false);
    CHECK_FALSE(known.Names(tree.name(), tree.name()));
    CHECK(known.Decoded() == before + 1);
  }
}

TEST_CASE("tree chunks: threads that ask at once share one decoding") {
  Rig rig;
  TreeChunks known(*rig.store);
  const SomeTree tree(Contents("chunk", 20'000));
  (void)rig.store->Put(AsBytes(tree.encoded.bytes)).value();
  std::atomic<int> named = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i)
    threads.emplace_back([&] { named += known.Names(tree.name(), HashOf("chunk7")) ? 1 : 0; });
  for (std::thread& thread : threads) thread.join();
  CHECK(named == 8);
  CHECK(known.Decoded() == 1);
}

TEST_CASE("tree chunks: the trees used longest ago go when there are too many") {
  Rig rig;
  constexpr std::size_t kMost = 16 << 10;
  TreeChunks known(*rig.store, kMost);
  std::vector<SomeTree> trees;
  for (int i = 0; i < 10; ++i) {
    trees.emplace_back(Contents(std::to_string(i) + "/", 200));  // 3200 bytes of keys
    trees.back().In(*rig.store);
  }
  const auto asks = [&](int i) { return known.Names(trees[i].name(), HashOf(trees[i].chunks[5])); };
  for (int i = 0; i < 10; ++i) {
    CHECK(asks(i));
    CHECK(asks(0));  // in use all the time
    CHECK(known.Bytes() <= kMost);
  }
  CHECK(known.Decoded() == 10);
  CHECK(asks(1));  // is gone, and comes again
  CHECK(known.Decoded() == 11);
  CHECK(known.Recall(trees[0].name(), HashOf(trees[0].chunks[0])) == true);
}

TEST_CASE("tree chunks: a tree larger than the memory is still decoded once in a row") {
  Rig rig;
  TreeChunks known(*rig.store, 100);
  const SomeTree tree(Contents("chunk", 100));
  tree.In(*rig.store);
  for (const std::string& chunk : tree.chunks) CHECK(known.Names(tree.name(), HashOf(chunk)));
  CHECK(known.Decoded() == 1);
}

TEST_CASE("tree chunks: a tree that is missing, damaged or none names nothing") {
  Rig rig;
  TreeChunks known(*rig.store);
  const SomeTree missing({"one"}), damaged({"two"});
  CHECK_FALSE(known.Names(missing.name(), HashOf("one")));
  missing.In(*rig.store);
  CHECK(known.Names(missing.name(), HashOf("one")));  // It has come.

  damaged.In(*rig.store);
  const std::string path = rig.store->PathOf(damaged.name());
  REQUIRE(::chmod(path.c_str(), 0600) == 0);
  std::ofstream(path) << damaged.encoded.bytes << "!";
  CHECK_FALSE(known.Names(damaged.name(), HashOf("two")));
  damaged.In(*rig.store);
  CHECK(known.Names(damaged.name(), HashOf("two")));  // It was sent again.

  const auto before = known.Decoded();
  const Hash none = rig.store->Put(AsBytes("no tree")).value();
  for (int i = 0; i < 3; ++i) CHECK_FALSE(known.Names(none, HashOf("one")));
  CHECK(known.Decoded() == before + 1);
}

}  // namespace
}  // namespace furrow::test
