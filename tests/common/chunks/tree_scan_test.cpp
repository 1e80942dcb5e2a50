#include "common/chunks/tree_scan.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <filesystem>
#include <thread>

#include "common/base/hash.h"
#include "common/chunks/hash_cache.h"
#include "tests/support/as_nobody.h"
#include "tests/support/random_bytes.h"
#include "tests/support/temp_folder.h"

using namespace furrow;

namespace {

std::vector<std::string> PathsOf(const ScannedTree& scanned) {
  std::vector<std::string> paths;
  for (const TreeEntry& entry : scanned.tree.entries) paths.push_back(entry.path);
  return paths;
}

ScannedTree Scan(const TempFolder& folder, std::vector<std::string> include = {},
                 std::vector<std::string> exclude = {}) {
  ScanOptions options;
  options.include = std::move(include);
  options.exclude = std::move(exclude);
  return ScanTree(folder.Fd(), options).value();
}

// Sets a file's stamps back an hour, so that it counts as settled. ctime cannot be set: callers wait for it.
void WaitUntilSettled(const std::string& path) {
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  while (HashCache::FileClockNs() < HashCache::SettledAtNs(status)) std::this_thread::yield();
}

using Paths = std::vector<std::string>;

}  // namespace

TEST_CASE("tree scan: records files, links, modes and empty folders") {
  TempFolder folder;
  folder.Write("src/a.txt", "hello");
  folder.Write("src/run.sh", "#!/bin/sh");
  folder.Write("empty.txt", "");
  std::filesystem::permissions(folder / "src/run.sh", std::filesystem::perms::owner_all);
  std::filesystem::create_directories(folder / "out/logs");
  std::filesystem::create_symlink("src/a.txt", folder / "link");
  REQUIRE(::mkfifo((folder / "pipe").c_str(), 0600) == 0);

  const ScannedTree scanned = Scan(folder);
  CHECK(PathsOf(scanned) == Paths{"empty.txt", "link", "out/logs", "src/a.txt", "src/run.sh"});
  CHECK(scanned.tree.Find("src/run.sh")->mode == TreeMode::kExecutable);
  CHECK(scanned.tree.Find("out/logs")->mode == TreeMode::kDirectory);
  CHECK(scanned.tree.Find("link")->target == "src/a.txt");
  CHECK(scanned.tree.Find("src/a.txt")->chunks == std::vector<ChunkRef>{{HashOf("hello"), 5}});
  CHECK(scanned.hashed_bytes == 14);
}

TEST_CASE("tree scan: patterns take what they match and say what matched nothing") {
  TempFolder folder;
  for (const char* name : {"net.pt", "a/net.pt", "a/b/net.pt", "a/b/note.txt", "out/x", "out/sub/y"})
    folder.Write(name, name);
  CHECK(PathsOf(Scan(folder, {"net.pt"})) == Paths{"net.pt"});
  CHECK(PathsOf(Scan(folder, {"**/net.pt"})) == Paths{"a/b/net.pt", "a/net.pt", "net.pt"});
  CHECK(PathsOf(Scan(folder, {"a/*/n*"})) == Paths{"a/b/net.pt", "a/b/note.txt"});
  CHECK(PathsOf(Scan(folder, {"out"})) == Paths{"out/sub/y", "out/x"});
  CHECK(PathsOf(Scan(folder, {"out/**", "out/x"})) == Paths{"out/sub/y", "out/x"});
  CHECK(PathsOf(Scan(folder, {"./out/"})) == Paths{"out/sub/y", "out/x"});
  CHECK(PathsOf(Scan(folder, {"a"}, {"*.pt"})) == Paths{"a/b/note.txt"});
  CHECK(PathsOf(Scan(folder, {"a", "!a/b"})) == Paths{"a/net.pt"});
  CHECK(PathsOf(Scan(folder, {"a/**", "!a/b/**", "a/b/*.txt"})) == Paths{"a/b/note.txt", "a/net.pt"});
  CHECK(PathsOf(Scan(folder, {"**", "!**/net.pt", "!out"})) == Paths{"a/b/note.txt"});
  CHECK(PathsOf(Scan(folder, {"a/**t"})) == Paths{"a/b/net.pt", "a/b/note.txt", "a/net.pt"});
  CHECK(PathsOf(Scan(folder, {"[!ao]*", "out/[x-z]"})) == Paths{"net.pt", "out/x"});
  CHECK(Scan(folder, {"out", "!out/none"}).unmatched.empty());
  CHECK(PathsOf(Scan(folder, {}, {"a/b", "out", "/none"})) == Paths{"a/net.pt", "net.pt"});
  const ScannedTree scanned = Scan(folder, {"net.pt", "model.pt", "*.onnx", "out/x", "out"});
  CHECK(scanned.unmatched == Paths{"model.pt", "*.onnx"});
  ScanOptions outside;
  outside.include = {"../secret"};
  CHECK(ScanTree(folder.Fd(), outside).error().code == Errc::kInvalid);
}

TEST_CASE("tree scan: exact paths, each of which must be there") {
  TempFolder folder;
  for (const char* name : {"a/x", "a/y", "b/z", "c"}) folder.Write(name, name);
  ScanOptions options;
  const auto paths = [&](const std::vector<std::string>& p) { return ScanPaths(folder.Fd(), p, options); };
  CHECK(PathsOf(paths({"c", "a/x", "b", "b/z"}).value()) == Paths{"a/x", "b/z", "c"});
  CHECK(paths({"c", "nothing"}).error().code == Errc::kNotFound);
  CHECK(paths({"../c"}).error().code == Errc::kInvalid);
  std::filesystem::create_directory_symlink("a", folder / "link");
  CHECK(paths({"link/x"}).error().code == Errc::kRejected);
  options.exclude = {"a"};
  CHECK(PathsOf(paths({"c", "a/x"}).value()) == Paths{"c"});
}

TEST_CASE("tree scan: follows no link, and refuses one that leaves") {
  TempFolder outside;
  outside.Write("secret", "secret");
  TempFolder folder;
  folder.Write("inside/a", "a");
  std::filesystem::create_directory_symlink("inside", folder / "alias");
  CHECK(PathsOf(Scan(folder)) == Paths{"alias", "inside/a"});
  std::filesystem::create_directory_symlink(outside.Path(), folder / "way-out");
  CHECK(PathsOf(Scan(folder, {"way-out/secret"})).empty());
  const auto refused = ScanTree(folder.Fd(), {});
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Errc::kInvalid);
  CHECK(refused.error().message.find("way-out") != std::string::npos);
}

TEST_CASE("tree scan: large and small files give the same chunks with one thread and with three") {
  TempFolder folder;
  folder.Write("large", RandomBytes((21 << 20) + 777, 5));
  folder.Write("middle", RandomBytes(4 << 20, 6));
  folder.Write("zeros", std::string(9 << 20, '\0'));
  for (int i = 0; i < 100; ++i) folder.Write("small/" + std::to_string(i), RandomBytes(1000, 100 + i));
  ScanOptions options;
  options.threads = 1;
  const Tree one = ScanTree(folder.Fd(), options).value().tree;
  options.threads = 3;
  CHECK(ScanTree(folder.Fd(), options).value().tree == one);

  const std::unique_ptr<ScannedChunks> chunks = ScannedChunks::Open(one, folder.Fd()).value();
  for (const char* name : {"large", "middle", "zeros", "small/7"}) {
    std::string content;
    for (const ChunkRef& chunk : one.Find(name)->chunks) {
      std::string bytes(chunk.size, '\0');
      REQUIRE(chunks->Read(chunk, std::as_writable_bytes(std::span<char>(bytes))));
      content += bytes;
    }
    CHECK(content == folder.Read(name));
  }
}

TEST_CASE("tree scan: a file that changed since is not sent under its old name") {
  TempFolder folder;
  folder.Write("a", "before");
  const Tree tree = Scan(folder).tree;
  const std::unique_ptr<ScannedChunks> chunks = ScannedChunks::Open(tree, folder.Fd()).value();
  folder.Write("a", "after!");
  std::string bytes(6, '\0');
  CHECK(chunks->Read(tree.entries[0].chunks[0], std::as_writable_bytes(std::span<char>(bytes))).error().code ==
        Errc::kCorrupt);
  CHECK(chunks->ReadUnverified(tree.entries[0].chunks[0], std::as_writable_bytes(std::span<char>(bytes))));
  CHECK(bytes == "after!");
  CHECK(chunks->Read({HashOf("other"), 6}, std::as_writable_bytes(std::span<char>(bytes))).error().code ==
        Errc::kNotFound);
}

TEST_CASE("tree scan: a limit on the bytes is kept") {
  TempFolder folder;
  folder.Write("a", std::string(100, 'x'));
  ScanOptions options;
  options.max_bytes = 99;
  CHECK(ScanTree(folder.Fd(), options).error().code == Errc::kInvalid);
}

TEST_CASE("hash cache: an unchanged file is not read again, a changed one is") {
  TempFolder folder;
  TempFolder state;
  folder.Write("large", RandomBytes(3 << 20, 8));
  folder.Write("small", "small");
  WaitUntilSettled(folder / "small");
  ScanOptions options;
  {
    const std::unique_ptr<HashCache> cache = HashCache::Open(state / "hashes");
    options.cache = cache.get();
    CHECK(ScanTree(folder.Fd(), options).value().hashed_bytes == (3 << 20) + 5);
    CHECK(cache->Count() == 2);
    REQUIRE(cache->Save());
  }
  const std::unique_ptr<HashCache> cache = HashCache::Open(state / "hashes");
  options.cache = cache.get();
  const ScannedTree again = ScanTree(folder.Fd(), options).value();
  CHECK(again.hashed_bytes == 0);
  folder.Write("small", "other");
  const ScannedTree changed = ScanTree(folder.Fd(), options).value();
  CHECK(changed.hashed_bytes == 5);
  CHECK(changed.tree.Find("small")->chunks[0].hash == HashOf("other"));
}

TEST_CASE("hash cache: a file written just now is not remembered, since it may change under the same stamps") {
  TempFolder folder;
  TempFolder state;
  folder.Write("a", "one");
  struct stat status {};
  REQUIRE(::stat((folder / "a").c_str(), &status) == 0);
  const std::unique_ptr<HashCache> cache = HashCache::Open(state / "hashes");
  cache->Remember(status, HashCache::SettledAtNs(status) - 1, {{HashOf("one"), 3}});
  CHECK_FALSE(cache->Find(status));
  cache->Remember(status, HashCache::SettledAtNs(status), {{HashOf("one"), 3}});
  CHECK(cache->Find(status));
}

TEST_CASE("hash cache: a damaged file gives an empty cache") {
  TempFolder folder;
  TempFolder state;
  folder.Write("a", "one");
  struct stat status {};
  REQUIRE(::stat((folder / "a").c_str(), &status) == 0);
  const std::unique_ptr<HashCache> cache = HashCache::Open(state / "hashes");
  cache->Remember(status, INT64_MAX, {{HashOf("one"), 3}});
  REQUIRE(cache->Save());
  const std::string good = state.Read("hashes");
  REQUIRE(HashCache::Open(state / "hashes")->Count() == 1);
  for (std::size_t i = 0; i < good.size(); ++i) {
    std::string damaged = good;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x10);
    state.Write("hashes", damaged);
    CHECK(HashCache::Open(state / "hashes")->Count() == 0);
    state.Write("hashes", good.substr(0, i));
    CHECK(HashCache::Open(state / "hashes")->Count() == 0);
  }
}

TEST_CASE("hash cache: stays within its bound and keeps what was used last") {
  TempFolder state;
  struct stat status {};
  const auto file = [&](ino_t inode) {
    status.st_ino = inode;
    return status;
  };
  const std::unique_ptr<HashCache> first = HashCache::Open(state / "hashes", 100 * 88);
  for (ino_t i = 0; i < 90; ++i) first->Remember(file(i), INT64_MAX, {{Hash{}, 1}});
  REQUIRE(first->Save());
  const std::unique_ptr<HashCache> second = HashCache::Open(state / "hashes", 100 * 88);
  for (ino_t i = 0; i < 20; ++i) CHECK(second->Find(file(i)));
  for (ino_t i = 1000; i < 1030; ++i) second->Remember(file(i), INT64_MAX, {{Hash{}, 1}});
  CHECK(second->Count() <= 100);
  for (ino_t i = 0; i < 20; ++i) CHECK(second->Find(file(i)));
}

TEST_CASE("tree scan: with keep_going what cannot be read costs only itself, and is named") {
  TempFolder folder;
  CHECK(AsNobody(folder, [&] {
    for (const char* path : {"model.pt", "secret", "shut/file", "listed/file"}) folder.Write(path, path);
    ::chmod((folder / "secret").c_str(), 0);
    ::chmod((folder / "shut").c_str(), 0);
    ::chmod((folder / "listed").c_str(), 0400);
    ScanOptions options;
    options.include = {"secret", "shut", "shut/file", "**"};
    if (ScanTree(folder.Path(), options)) return false;
    options.keep_going = true;
    const auto scanned = ScanTree(folder.Path(), options);
    if (!scanned || !scanned->tree.Find("model.pt") || scanned->tree.Find("secret")) return false;
    std::string said;
    for (const std::string& text : scanned->left_out) said += text + "\n";
    for (const char* path : {"\"secret\"", "\"shut\"", "\"listed/\""})
      if (said.find(path) == std::string::npos) return false;
    return ::chmod((folder / "shut").c_str(), 0700) == 0 && ::chmod((folder / "listed").c_str(), 0700) == 0;
  }));
}

TEST_CASE("tree scan: a list of files that is too long is cut, and says where") {
  ScannedTree scanned;
  std::string path = "a";
  for (int i = 0; i < 15; ++i) path += "/" + std::string(250, 'f');
  for (int i = 10'000; i < 30'000; ++i) scanned.tree.entries.push_back({path + "/" + std::to_string(i), {}, 0, {}, {}});
  REQUIRE_FALSE(EncodeTree(scanned.tree));
  CutToEncodable(scanned);
  CHECK(EncodeTree(scanned.tree));
  CHECK(scanned.tree.entries.size() > 14'000);
  REQUIRE(scanned.left_out.size() == 1);
  CHECK(scanned.left_out[0].find("20000 files") != std::string::npos);
  CutToEncodable(scanned);
  CHECK(scanned.left_out.size() == 1);
}
