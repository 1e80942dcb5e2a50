#include "common/chunks/tree_materialise.h"

#include <doctest/doctest.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <map>

#include "common/base/hash.h"
#include "common/chunks/remove_tree.h"
#include "common/chunks/tree_scan.h"
#include "tests/support/random_bytes.h"
#include "tests/support/temp_folder.h"

using namespace furrow;

namespace {

// Chunks in memory, which a test can take away or damage.
class MemoryChunks final : public ChunkSource {
 public:
  Status Read(const ChunkRef& chunk, std::span<std::byte> out) override {
    const auto at = chunks.find(chunk.hash);
    if (at == chunks.end()) return Fail(Errc::kNotFound, "no such chunk");
    std::memcpy(out.data(), at->second.data(), out.size());
    return {};
  }

  TreeEntry File(std::string path, std::string content) {
    TreeEntry entry;
    entry.path = std::move(path);
    entry.size = content.size();
    entry.chunks = {{HashOf(content), static_cast<std::uint32_t>(content.size())}};
    chunks[HashOf(content)] = std::move(content);
    return entry;
  }

  std::map<Hash, std::string> chunks;
};

}  // namespace

TEST_CASE("tree materialise: a scanned tree comes back as it was") {
  TempFolder from;
  from.Write("a/b/c/deep.txt", "deep");
  from.Write("a/b-file", "b");
  from.Write("empty", "");
  from.Write("large", RandomBytes((9 << 20) + 1, 1));
  for (int i = 0; i < 600; ++i)
    from.Write("many/" + std::to_string(i / 50) + "/" + std::to_string(i), std::to_string(i));
  std::filesystem::permissions(from / "a/b-file", std::filesystem::perms::owner_all);
  std::filesystem::create_directories(from / "none/here");
  std::filesystem::create_symlink("../b-file", from / "a/b/link");
  const Tree tree = ScanTree(from.Fd(), {}).value().tree;
  const std::unique_ptr<ScannedChunks> chunks = ScannedChunks::Open(tree, from.Fd()).value();

  for (const unsigned threads : {1U, 3U}) {
    TempFolder to;
    MaterialiseOptions options;
    options.threads = threads;
    REQUIRE(MaterialiseTree(tree, to.Fd(), *chunks, options));
    CHECK(ScanTree(to.Fd(), {}).value().tree == tree);
    CHECK(to.Read("large") == from.Read("large"));
  }
}

TEST_CASE("tree materialise: never writes through a link that lies in the folder") {
  MemoryChunks chunks;
  const Tree tree = MakeTree({chunks.File("a/x", "content"), chunks.File("b", "content")}).value();
  TempFolder outside;
  TempFolder to;
  std::filesystem::create_directory_symlink(outside.Path(), to / "a");
  const Status refused = MaterialiseTree(tree, to.Fd(), chunks);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Errc::kRejected);

  TempFolder other;
  outside.Write("victim", "untouched");
  std::filesystem::create_symlink(outside / "victim", other / "b");
  CHECK(MaterialiseTree(tree, other.Fd(), chunks).error().code == Errc::kRejected);
  MaterialiseOptions replace;
  replace.replace = true;
  REQUIRE(RemoveBeneath(other.Fd()));
  std::filesystem::create_symlink(outside / "victim", other / "b");
  REQUIRE(MaterialiseTree(tree, other.Fd(), chunks, replace));
  CHECK(other.Read("b") == "content");
  CHECK_FALSE(std::filesystem::is_symlink(other / "b"));
  CHECK(outside.Read("victim") == "untouched");
  CHECK_FALSE(std::filesystem::exists(outside / "x"));
}

TEST_CASE("tree materialise: what is in the way is refused, or replaced where asked") {
  MemoryChunks chunks;
  const Tree tree = MakeTree({chunks.File("a", "new")}).value();
  TempFolder to;
  to.Write("a", "old");
  const Status refused = MaterialiseTree(tree, to.Fd(), chunks);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message.find("\"a\"") != std::string::npos);
  CHECK(to.Read("a") == "old");
  MaterialiseOptions replace;
  replace.replace = true;
  CHECK(MaterialiseTree(tree, to.Fd(), chunks, replace));
  CHECK(to.Read("a") == "new");
  std::filesystem::remove(to / "a");
  to.Write("a/inside", "kept");
  CHECK(MaterialiseTree(tree, to.Fd(), chunks, replace).error().code == Errc::kRejected);
  CHECK(to.Read("a/inside") == "kept");
}

TEST_CASE("tree materialise: a missing chunk names the file") {
  MemoryChunks chunks;
  const Tree tree = MakeTree({chunks.File("sub/a", "content")}).value();
  chunks.chunks.clear();
  TempFolder to;
  const Status failed = MaterialiseTree(tree, to.Fd(), chunks);
  REQUIRE_FALSE(failed);
  CHECK(failed.error().code == Errc::kNotFound);
  CHECK(failed.error().message.find("sub/a") != std::string::npos);
}

TEST_CASE("tree materialise: a full disk is said to be one") {
  TempFolder folder;
  folder.Write("disk/.keep", "");
  const std::string disk = folder / "disk";
  if (::mount("furrow-test", disk.c_str(), "tmpfs", 0, "size=256k") != 0) {
    MESSAGE("skipped: a small disk cannot be mounted here: " << std::strerror(errno));
    return;
  }
  struct Unmount {
    const std::string& path;
    ~Unmount() { ::umount2(path.c_str(), MNT_DETACH); }
  } unmount{disk};
  MemoryChunks chunks;
  const Tree tree = MakeTree({chunks.File("big", RandomBytes(1 << 20, 1))}).value();
  const FileHandle to(::open(disk.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const Status failed = MaterialiseTree(tree, to.Get(), chunks);
  REQUIRE_FALSE(failed);
  CHECK(failed.error().code == Errc::kUnavailable);
  CHECK(failed.error().message.find("\"big\"") != std::string::npos);
  REQUIRE(RemoveBeneath(to.Get()));
  CHECK(std::filesystem::is_empty(disk));
}
