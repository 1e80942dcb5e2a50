#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "common/base/hash.h"
#include "common/chunks/store.h"
#include "tests/support/folder_syncs.h"
#include "tests/support/temp_folder.h"

using namespace furrow;
using test::FolderSyncs;

namespace {

// Does what another process does between its rename and its sync; a kill in that moment leaves the same.
Hash RenamedByAnother(const ChunkStore& store, const std::string& bytes) {
  const Hash hash = HashOf(bytes);
  const std::filesystem::path path = store.PathOf(hash);
  std::filesystem::create_directory(path.parent_path());
  std::ofstream(path) << bytes;
  return hash;
}

std::string FolderOf(const ChunkStore& store, const Hash& hash) {
  return std::filesystem::path(store.PathOf(hash)).parent_path().string();
}

struct Shared {
  Shared() {
    REQUIRE(store->SyncPresence());
    FolderSyncs::Instance().Clear();
  }
  TempFolder folder;
  std::unique_ptr<ChunkStore> store = ChunkStore::Open(folder / "blobs", {.packs = true}).value();
};

TEST_CASE("chunk presence: a name that a living process may not have synced is synced with the next tree") {
  Shared shared;
  const ChunkStore::OtherWriter child(*shared.store);
  for (int i = 0; i < 3; ++i) {
    const Hash hash = RenamedByAnother(*shared.store, "chunk " + std::to_string(i));
    REQUIRE(shared.store->Has(hash));
    REQUIRE(shared.store->SyncPresence());
    CHECK(FolderSyncs::Instance().Has(FolderOf(*shared.store, hash)));
    CHECK(FolderSyncs::Instance().Has(shared.folder / "blobs"));  // The folder is new in it.
    FolderSyncs::Instance().Clear();
  }
}

TEST_CASE("chunk presence: a process that was killed leaves names that are synced with the next tree, once") {
  Shared shared;
  auto child = std::make_unique<ChunkStore::OtherWriter>(*shared.store);
  REQUIRE(shared.store->SyncPresence());
  FolderSyncs::Instance().Clear();
  const Hash one = RenamedByAnother(*shared.store, "one");
  const Hash two = RenamedByAnother(*shared.store, "two");
  child.reset();
  REQUIRE(shared.store->SyncPresence());
  CHECK(FolderSyncs::Instance().Has(FolderOf(*shared.store, one)));
  CHECK(FolderSyncs::Instance().Has(FolderOf(*shared.store, two)));
  FolderSyncs::Instance().Clear();
  REQUIRE(shared.store->SyncPresence());
  CHECK(FolderSyncs::Instance().None());
}

TEST_CASE("chunk presence: one process that ends does not vouch for another that still writes") {
  Shared shared;
  auto first = std::make_unique<ChunkStore::OtherWriter>(*shared.store);
  const ChunkStore::OtherWriter second(*shared.store);
  first.reset();
  REQUIRE(shared.store->SyncPresence());
  FolderSyncs::Instance().Clear();
  const Hash hash = RenamedByAnother(*shared.store, "late");
  REQUIRE(shared.store->SyncPresence());
  CHECK(FolderSyncs::Instance().Has(FolderOf(*shared.store, hash)));
}

TEST_CASE("chunk presence: a sync that failed promises nothing, now or later") {
  Shared shared;
  auto child = std::make_unique<ChunkStore::OtherWriter>(*shared.store);
  RenamedByAnother(*shared.store, "one");
  child.reset();
  FolderSyncs::Instance().Fail(true);
  CHECK_FALSE(shared.store->SyncPresence());
  FolderSyncs::Instance().Fail(false);
  CHECK_FALSE(shared.store->SyncPresence());
}

TEST_CASE("chunk presence: more folders than a few are synced together") {
  Shared shared;
  auto child = std::make_unique<ChunkStore::OtherWriter>(*shared.store);
  std::vector<Hash> hashes;
  for (int i = 0; i < 40; ++i) hashes.push_back(RenamedByAnother(*shared.store, std::to_string(i)));
  child.reset();
  REQUIRE(shared.store->SyncPresence());
  for (const Hash& hash : hashes) CHECK(FolderSyncs::Instance().Has(FolderOf(*shared.store, hash)));
}

}  // namespace
