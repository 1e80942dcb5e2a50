#include "common/chunks/store.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <thread>

#include "common/base/hash.h"
#include "tests/support/failing_syncs.h"
#include "tests/support/random_bytes.h"
#include "tests/support/temp_folder.h"

using namespace furrow;

namespace {

std::unique_ptr<ChunkStore> OpenStore(const TempFolder& folder, ChunkStoreOptions options = {}) {
  return ChunkStore::Open(folder / "blobs", options).value();
}

std::size_t FilesBeneath(const std::string& folder) {
  std::size_t count = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
    count += entry.is_regular_file() ? 1 : 0;
  return count;
}

void Damage(const std::string& path, std::size_t at) {
  ::chmod(path.c_str(), 0600);
  const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  REQUIRE(fd >= 0);
  char byte = 0;
  REQUIRE(::pread(fd, &byte, 1, static_cast<off_t>(at)) == 1);
  byte = static_cast<char>(byte ^ 4);
  REQUIRE(::pwrite(fd, &byte, 1, static_cast<off_t>(at)) == 1);
  ::close(fd);
}

}  // namespace

TEST_CASE("chunk store: what was put is there, also for the next process") {
  TempFolder folder;
  Hash hash;
  {
    const auto store = OpenStore(folder);
    hash = store->Put(AsBytes("hello")).value();
    CHECK(hash == HashOf("hello"));
    CHECK(store->Put(hash, AsBytes("hello")));
    CHECK(store->Get(hash).value() == "hello");
  }
  const auto store = OpenStore(folder);
  CHECK(store->Has(hash));
  CHECK(store->Get(hash).value() == "hello");
  CHECK(store->Get(HashOf("other")).error().code == Errc::kNotFound);
  CHECK(FilesBeneath(folder.Path()) == 1);
}

TEST_CASE("chunk store: bytes that do not match their hash are refused") {
  TempFolder folder;
  const auto store = OpenStore(folder);
  CHECK(store->Put(HashOf("a"), AsBytes("b")).error().code == Errc::kCorrupt);
  CHECK_FALSE(store->Has(HashOf("a")));
  CHECK_FALSE(store->Has(HashOf("b")));
}

TEST_CASE("chunk store: a batch is visible with Commit, not before, and leaves nothing without it") {
  TempFolder folder;
  const auto store = OpenStore(folder);
  std::vector<Hash> hashes;
  {
    ChunkStore::Batch batch(*store);
    for (int i = 0; i < 40; ++i) {
      const std::string bytes = RandomBytes(1000, static_cast<std::uint64_t>(i));
      hashes.push_back(HashOf(bytes));
      REQUIRE(batch.Put(hashes.back(), AsBytes(bytes)));
      REQUIRE(batch.Put(hashes.back(), AsBytes(bytes)));
    }
    CHECK(batch.Count() == 40);
    CHECK(store->Missing(hashes) == hashes);
    REQUIRE(batch.Commit());
    CHECK(batch.Count() == 0);
    CHECK(store->Missing(hashes).empty());
    REQUIRE(batch.Put(HashOf("dropped"), AsBytes("dropped")));
  }
  CHECK_FALSE(store->Has(HashOf("dropped")));
  CHECK(FilesBeneath(folder.Path()) == 40);
}

TEST_CASE("chunk store: a damaged or shortened chunk is found, put aside and can be put again") {
  TempFolder folder;
  const auto store = OpenStore(folder);
  const std::string bytes = RandomBytes(5000, 1);
  const Hash hash = store->Put(AsBytes(bytes)).value();
  Damage(store->PathOf(hash), 4321);
  CHECK(store->Get(hash, false).value() != bytes);
  CHECK(store->Get(hash).error().code == Errc::kCorrupt);
  CHECK_FALSE(store->Has(hash));
  CHECK(FilesBeneath(folder / "blobs/corrupt") == 1);
  REQUIRE(store->Put(hash, AsBytes(bytes)));

  ::chmod(store->PathOf(hash).c_str(), 0600);
  REQUIRE(::truncate(store->PathOf(hash).c_str(), 100) == 0);
  std::string out(bytes.size(), '\0');
  const ChunkRef chunk{hash, 5000};
  CHECK(store->Read(chunk, std::as_writable_bytes(std::span<char>(out))).error().code == Errc::kCorrupt);
  CHECK_FALSE(store->Has(hash));
  REQUIRE(store->Put(hash, AsBytes(bytes)));
  REQUIRE(store->Read(chunk, std::as_writable_bytes(std::span<char>(out))));
  CHECK(out == bytes);
}

TEST_CASE("chunk store: what a dead process left is removed, what a living one writes is not") {
  TempFolder folder;
  const auto living = OpenStore(folder);
  ChunkStore::Batch batch(*living);
  REQUIRE(batch.Put(HashOf("living"), AsBytes("living")));

  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {  // dies in the middle of a batch, as by kill -9
    auto store = ChunkStore::Open(folder / "blobs");
    if (!store) ::_exit(1);
    ChunkStore::Batch lost(**store);
    ::_exit(lost.Put(HashOf("lost"), AsBytes("lost")) ? 0 : 1);
  }
  int status = -1;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(status == 0);
  CHECK(FilesBeneath(folder / "blobs/tmp") == 2);
  const auto next = OpenStore(folder);
  CHECK(FilesBeneath(folder / "blobs/tmp") == 1);
  REQUIRE(batch.Commit());
  CHECK(next->Has(HashOf("living")));
}

TEST_CASE("chunk store: threads that put the same chunks at once all succeed") {
  TempFolder folder;
  const auto store = OpenStore(folder);
  std::vector<std::thread> threads;
  std::atomic<int> failures{0};
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      ChunkStore::Batch batch(*store);
      for (std::uint64_t i = 0; i < 50; ++i) {
        const std::string bytes = RandomBytes(500, i);
        if (!batch.Put(HashOf(bytes), AsBytes(bytes))) ++failures;
      }
      if (!batch.Commit()) ++failures;
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(failures == 0);
  CHECK(FilesBeneath(folder.Path()) == 50);
}

TEST_CASE("chunk store: threads may fill one batch") {
  TempFolder folder;
  const auto store = OpenStore(folder);
  ChunkStore::Batch batch(*store);
  std::vector<std::string> blobs;
  for (int i = 0; i < 40; ++i) blobs.push_back(RandomBytes(1000 + i, 300 + i));
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (std::size_t i = t % 2; i < blobs.size(); i += 2)  // each blob by two of them
        if (!batch.Put(HashOf(blobs[i]), AsBytes(blobs[i]))) std::abort();
    });
  }
  for (std::thread& thread : threads) thread.join();
  REQUIRE(batch.Commit());
  for (const std::string& blob : blobs) CHECK(store->Get(HashOf(blob)).value() == blob);
  CHECK(FilesBeneath(folder.Path()) == blobs.size());
}

TEST_CASE("chunk store: eviction removes what was not used for longest, and nothing that is kept") {
  TempFolder folder;
  const auto store = OpenStore(folder, {.durable = false, .track_use = true});
  std::vector<Hash> hashes;
  for (std::uint64_t i = 0; i < 10; ++i) {
    const std::string bytes = RandomBytes(8192, i);
    hashes.push_back(store->Put(AsBytes(bytes)).value());
    const timespec times[2] = {{static_cast<time_t>(1000 + i), 0}, {0, UTIME_OMIT}};
    REQUIRE(::utimensat(AT_FDCWD, store->PathOf(hashes.back()).c_str(), times, 0) == 0);
  }
  REQUIRE(store->Get(hashes[0]));  // the oldest, used just now
  CHECK(store->Evict(10 * 8192, {}).value() == 0);
  CHECK(store->Evict(5 * 8192, {hashes[1]}).value() == 5 * 8192);
  std::vector<bool> there;
  for (const Hash& hash : hashes) there.push_back(store->Has(hash));
  CHECK(there == std::vector<bool>{true, true, false, false, false, false, false, true, true, true});
}

TEST_CASE("chunk store: a full disk is said to be one, and leaves nothing visible") {
  TempFolder folder;
  folder.Write("disk/.keep", "");
  const std::string disk = folder / "disk";
  if (::mount("furrow-test", disk.c_str(), "tmpfs", 0, "size=512k") != 0) {
    MESSAGE("skipped: a small disk cannot be mounted here: " << std::strerror(errno));
    return;
  }
  struct Unmount {
    const std::string& path;
    ~Unmount() { ::umount2(path.c_str(), MNT_DETACH); }
  } unmount{disk};
  for (const bool packs : {false, true}) {
    const auto store = ChunkStore::Open(disk, {.packs = packs}).value();
    ChunkStore::Batch batch(*store);
    const std::string small = RandomBytes(1000, packs ? 11 : 1);
    const std::string fits = RandomBytes(70'000, packs ? 12 : 2);  // a pack's first chunk, where there are packs
    const std::string large = RandomBytes(1 << 20, 3);
    REQUIRE(batch.Put(HashOf(small), AsBytes(small)));
    const auto put_large = [&](ChunkStore::Batch& into) {
      const Status full = into.Put(HashOf(large), AsBytes(large));
      REQUIRE_FALSE(full);
      CHECK(full.error().code == Errc::kUnavailable);
      CHECK(full.error().message.find("disk is full") != std::string::npos);
    };
    put_large(batch);
    REQUIRE(batch.Commit());  // without a pack: nothing fitted into it
    CHECK(store->Has(HashOf(small)));
    ChunkStore::Batch next(*store);
    REQUIRE(next.Put(HashOf(fits), AsBytes(fits)));
    put_large(next);
    REQUIRE(next.Commit());
    CHECK(store->Get(HashOf(fits)).value() == fits);
    CHECK_FALSE(store->Has(HashOf(large)));
  }
  CHECK(FilesBeneath(disk) == 4);  // two small ones, a chunk, a pack
}

// ---- packs -------------------------------------------------------------------------------------------------

namespace {

constexpr ChunkStoreOptions kPacked{.packs = true};

// Chunks of 64 KiB and more, and some that are too small for a pack.
std::vector<std::string> LargeAndSmall() {
  std::vector<std::string> blobs;
  for (std::uint64_t i = 0; i < 6; ++i) blobs.push_back(RandomBytes(64 * 1024 + 1000 * i, 700 + i));
  blobs.push_back(RandomBytes(1 << 20, 800));
  blobs.push_back(RandomBytes(64 * 1024 - 1, 801));
  blobs.push_back("small");
  return blobs;
}

void PutAll(ChunkStore& store, const std::vector<std::string>& blobs) {
  ChunkStore::Batch batch(store);
  for (const std::string& bytes : blobs) REQUIRE(batch.Put(HashOf(bytes), AsBytes(bytes)));
  CHECK(batch.Count() == blobs.size());
  REQUIRE(batch.Commit());
}

std::string OnlyPack(const TempFolder& folder) {
  std::vector<std::string> packs;
  for (const auto& entry : std::filesystem::directory_iterator(folder / "blobs/packs"))
    packs.push_back(entry.path().string());
  REQUIRE(packs.size() == 1);
  return packs.front();
}

}  // namespace

TEST_CASE("chunk store: a batch's large chunks lie in one pack, and are there for the next process") {
  TempFolder folder;
  const auto blobs = LargeAndSmall();
  for (const bool reopened : {false, true}) {
    const auto store = OpenStore(folder, kPacked);
    if (!reopened) {
      ChunkStore::Batch dropped(*store);
      REQUIRE(dropped.Put(HashOf(blobs[0]), AsBytes(blobs[0])));
      CHECK_FALSE(store->Has(HashOf(blobs[0])));
    }
    if (!reopened) PutAll(*store, blobs);
    for (const std::string& bytes : blobs) {
      CHECK(store->Has(HashOf(bytes)));
      CHECK(store->Get(HashOf(bytes)).value() == bytes);
      std::string out(bytes.size(), '\0');
      REQUIRE(store->Read({HashOf(bytes), static_cast<std::uint32_t>(bytes.size())},
                          std::as_writable_bytes(std::span<char>(out))));
      CHECK(out == bytes);
    }
    CHECK(FilesBeneath(folder.Path()) == 3);  // the pack and two files
  }
}

TEST_CASE("chunk store: a damaged chunk in a pack is not used again, and can be put again") {
  TempFolder folder;
  const auto blobs = LargeAndSmall();
  const Hash first = HashOf(blobs[0]);
  {
    const auto store = OpenStore(folder, kPacked);
    PutAll(*store, blobs);
    Damage(OnlyPack(folder), 100);  // in the chunk that was put first
    CHECK(store->Get(first).error().code == Errc::kCorrupt);
    CHECK_FALSE(store->Has(first));
    CHECK(store->Get(HashOf(blobs[1])).value() == blobs[1]);
  }
  const auto store = OpenStore(folder, kPacked);
  CHECK_FALSE(store->Has(first));
  CHECK(store->Has(HashOf(blobs[1])));
  REQUIRE(store->Put(first, AsBytes(blobs[0])));
  CHECK(store->Get(first).value() == blobs[0]);
}

TEST_CASE("chunk store: a pack with a damaged or missing index is put aside, the others serve") {
  const auto blobs = LargeAndSmall();
  for (const bool cut : {false, true}) {
    TempFolder folder;
    {
      const auto store = OpenStore(folder, kPacked);
      PutAll(*store, blobs);
      const std::string pack = OnlyPack(folder);
      const auto size = std::filesystem::file_size(pack);
      if (cut)
        std::filesystem::resize_file(pack, size - 1);
      else
        Damage(pack, size - 100);
      PutAll(*store, {RandomBytes(100'000, 900)});
    }
    const auto store = OpenStore(folder, kPacked);
    CHECK_FALSE(store->Has(HashOf(blobs[0])));
    CHECK(store->Has(HashOf(RandomBytes(100'000, 900))));
    CHECK(store->Has(HashOf(blobs.back())));  // a file of its own
    CHECK(FilesBeneath(folder / "blobs/corrupt") == 1);
  }
}

TEST_CASE("chunk store: threads may fill one batch's pack") {
  TempFolder folder;
  const auto store = OpenStore(folder, kPacked);
  ChunkStore::Batch batch(*store);
  std::vector<std::string> blobs;
  for (std::uint64_t i = 0; i < 40; ++i) blobs.push_back(RandomBytes(65'536 + 10 * i, 1000 + i));
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (std::size_t i = t; i < blobs.size(); i += 4)
        if (!batch.Put(HashOf(blobs[i]), AsBytes(blobs[i]))) std::abort();
    });
  }
  for (std::thread& thread : threads) thread.join();
  REQUIRE(batch.Commit());
  for (const std::string& blob : blobs) CHECK(store->Get(HashOf(blob)).value() == blob);
  CHECK(FilesBeneath(folder.Path()) == 1);
}

TEST_CASE("chunk store: chunks whose sync failed are not kept, and are written anew when they come again") {
  for (const bool packs : {false, true}) {
    for (const int count : {3, 30}) {  // each file by itself, or the whole file system
      CAPTURE(packs);
      CAPTURE(count);
      TempFolder folder;
      const auto store = OpenStore(folder, {.packs = packs});
      REQUIRE(store->SyncPresence());
      std::vector<std::string> blobs;
      for (int i = 0; i < count; ++i) blobs.push_back(RandomBytes(300'000, static_cast<std::uint64_t>(i)));
      ChunkStore::Batch batch(*store);
      {
        const FailingSyncs faults;
        for (const std::string& blob : blobs) REQUIRE(batch.Put(HashOf(blob), AsBytes(blob)));
        CHECK_FALSE(batch.Commit());
        CHECK(faults.failed() == 1);
      }
      CHECK(batch.Count() == 0);
      CHECK(FilesBeneath(folder / "blobs") == 0);
      for (const std::string& blob : blobs) CHECK_FALSE(store->Has(HashOf(blob)));
      for (const std::string& blob : blobs) REQUIRE(batch.Put(HashOf(blob), AsBytes(blob)));
      CHECK(batch.Commit());
      for (const std::string& blob : blobs) CHECK(store->Get(HashOf(blob)).value() == blob);
    }
  }
}

TEST_CASE("chunk store: after the sync of a folder failed no chunk is promised until the store is opened again") {
  TempFolder folder;
  const std::string blob = "hello";
  {
    const auto store = OpenStore(folder);
    {
      const FailingSyncs faults("/" + HashOf(blob).ToHex().substr(0, 2));
      CHECK_FALSE(store->Put(HashOf(blob), AsBytes(blob)));
      CHECK(faults.failed() == 1);
    }
    CHECK(store->Has(HashOf(blob)));
    const Status again = store->SyncPresence();
    REQUIRE_FALSE(again);
    CHECK(again.error().message.find("can promise no chunk any more") != std::string::npos);
    CHECK_FALSE(store->Put(HashOf("other"), AsBytes("other")));
  }
  const auto store = OpenStore(folder);
  CHECK(store->SyncPresence());
  CHECK(store->Put(HashOf("third"), AsBytes("third")));
}
