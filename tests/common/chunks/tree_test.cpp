#include "common/chunks/tree.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "common/base/bytes.h"
#include "common/base/hash.h"
#include "common/chunks/chunker.h"

using namespace furrow;

namespace {

TreeEntry File(std::string path, std::string_view content = "content") {
  TreeEntry entry;
  entry.path = std::move(path);
  entry.size = content.size();
  if (!content.empty()) entry.chunks = {{HashOf(content), static_cast<std::uint32_t>(content.size())}};
  return entry;
}

TreeEntry Link(std::string path, std::string target) {
  TreeEntry entry;
  entry.path = std::move(path);
  entry.mode = TreeMode::kSymlink;
  entry.target = std::move(target);
  return entry;
}

TreeEntry Folder(std::string path) {
  TreeEntry entry;
  entry.path = std::move(path);
  entry.mode = TreeMode::kDirectory;
  return entry;
}

Tree Sample() {
  std::vector<TreeEntry> entries{File("src/main.cpp", "int main() {}"),
                                 File("empty", ""),
                                 Link("src/up", "../empty"),
                                 Folder("out/logs"),
                                 File("src-old"),
                                 File("src/lib/a")};
  entries[0].mode = TreeMode::kExecutable;
  return MakeTree(std::move(entries)).value();
}

Errc CodeOf(std::vector<TreeEntry> entries) {
  const Result<Tree> tree = MakeTree(std::move(entries));
  REQUIRE_FALSE(tree);
  return tree.error().code;
}

}  // namespace

TEST_CASE("tree: what is encoded decodes to the same, under a name that never changes") {
  const Tree tree = Sample();
  const EncodedTree encoded = EncodeTree(tree).value();
  CHECK(DecodeTree(AsBytes(encoded.bytes)).value() == tree);
  CHECK(encoded.name.ToHex() == "31b6c78f6072e4c132b243897f43f8f1e36a54aeca79582f101c994a7124b59a");
  CHECK(tree.TotalBytes() == 13 + 7 + 7);
  CHECK(tree.UniqueChunks().size() == 2);
  CHECK(tree.Find("src/up")->target == "../empty");
  CHECK(tree.Find("src") == nullptr);
}

TEST_CASE("tree: what lies beneath a folder follows it, whatever sorts between in plain order") {
  const Tree tree = Sample();
  std::vector<std::string> paths;
  for (const TreeEntry& entry : tree.entries) paths.push_back(entry.path);
  CHECK(paths == std::vector<std::string>{"empty", "out/logs", "src/lib/a", "src/main.cpp", "src/up", "src-old"});
}

TEST_CASE("tree: an empty tree is a tree") {
  const EncodedTree encoded = EncodeTree(Tree{}).value();
  CHECK(DecodeTree(AsBytes(encoded.bytes)).value().entries.empty());
}

TEST_CASE("tree: a path that could lead elsewhere is refused") {
  for (const char* path : {"", "/etc/passwd", "../x", "a/../b", "a/..", "..", ".", "./a", "a/./b", "a//b", "a/", "/"}) {
    CAPTURE(path);
    CHECK(CodeOf({File(path)}) == Errc::kInvalid);
    CHECK_FALSE(ValidateTreePath(path));
  }
  CHECK_FALSE(ValidateTreePath(std::string_view("a\0b", 3)));
  CHECK_FALSE(ValidateTreePath(std::string(256, 'x')));
  CHECK(ValidateTreePath(std::string(255, 'x')));
  std::string deep;
  while (deep.size() <= kMaxPathBytes) deep += "abc/";
  CHECK_FALSE(ValidateTreePath(deep + "x"));
  for (const char* path : {"...", "a/..b", ".git/config", "-rf", "spa ce\n"}) CHECK(ValidateTreePath(path));
}

TEST_CASE("tree: a link stays inside, also by way of other links") {
  for (const char* target : {"/etc", "..", "../..", "../x", "b/../../c", "", "x/../../y"}) {
    CAPTURE(target);
    CHECK(CodeOf({Link("l", target)}) == Errc::kInvalid);
  }
  CHECK(CodeOf({Link("l", std::string("a\0b", 3))}) == Errc::kInvalid);
  CHECK(CodeOf({Link("a/b/l", "../../../c")}) == Errc::kInvalid);
  for (const char* target : {"x", "..", "../..", "../../c", "x/../y", "./x//y/", "../../a/b"}) {
    CAPTURE(target);
    CHECK(MakeTree({Link("a/b/l", target)}));
  }
  // dir/up is the root by its text; up from there would be outside, though the text alone says "dir".
  CHECK(CodeOf({Link("dir/up", ".."), Link("escape", "dir/up/..")}) == Errc::kInvalid);
  CHECK(CodeOf({Link("dir/up", ".."), Link("escape", "dir/up/x/../..")}) == Errc::kInvalid);
  CHECK(MakeTree({Link("dir/up", ".."), Link("fine", "dir/up/x")}));
}

TEST_CASE("tree: nothing lies beneath a link, a file or a recorded folder, and nothing is there twice") {
  CHECK(CodeOf({Link("a", "b"), File("a/x")}) == Errc::kInvalid);
  CHECK(CodeOf({Link("a", "b"), File("a/x/y"), File("a-")}) == Errc::kInvalid);
  CHECK(CodeOf({File("a"), File("a/x")}) == Errc::kInvalid);
  CHECK(CodeOf({Folder("a"), File("a/x")}) == Errc::kInvalid);
  CHECK(CodeOf({File("a"), File("a")}) == Errc::kInvalid);
  Tree unsorted{{File("b"), File("a")}};
  CHECK_FALSE(EncodeTree(unsorted));
}

TEST_CASE("tree: sizes and contents must fit") {
  TreeEntry wrong_sum = File("a");
  wrong_sum.size += 1;
  CHECK(CodeOf({wrong_sum}) == Errc::kInvalid);
  TreeEntry empty_chunk = File("a", "");
  empty_chunk.chunks = {{HashOf(""), 0}};
  CHECK(CodeOf({empty_chunk}) == Errc::kInvalid);
  TreeEntry huge_chunk = File("a");
  huge_chunk.chunks[0].size = kMaxChunkBytes + 1;
  huge_chunk.size = kMaxChunkBytes + 1;
  CHECK(CodeOf({huge_chunk}) == Errc::kInvalid);
  TreeEntry folder = Folder("a");
  folder.size = 1;
  CHECK(CodeOf({folder}) == Errc::kInvalid);
  TreeEntry file = File("a");
  file.target = "b";
  CHECK(CodeOf({file}) == Errc::kInvalid);
}

TEST_CASE("tree: no prefix of an encoding and no encoding with a tail decodes") {
  const EncodedTree encoded = EncodeTree(Sample()).value();
  for (std::size_t length = 0; length < encoded.bytes.size(); ++length) {
    // A copy of exactly that size, so that a sanitizer sees any read behind it.
    const std::string prefix = encoded.bytes.substr(0, length);
    CHECK_FALSE(DecodeTree(AsBytes(prefix)));
  }
  CHECK_FALSE(DecodeTree(AsBytes(encoded.bytes + '\0')));
}

TEST_CASE("tree: a flipped bit gives an error or another valid tree, never the same one") {
  const Tree tree = Sample();
  const EncodedTree encoded = EncodeTree(tree).value();
  for (std::size_t bit = 0; bit < encoded.bytes.size() * 8; ++bit) {
    std::string damaged = encoded.bytes;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ (1 << (bit % 8)));
    const Result<Tree> decoded = DecodeTree(AsBytes(damaged));
    if (!decoded) continue;
    CHECK(*decoded != tree);
    CHECK(EncodeTree(*decoded).value().bytes == damaged);
  }
}

TEST_CASE("tree: counts that the bytes cannot hold are refused before memory is taken") {
  std::string entries = "FURTREE1";
  PutU32(entries, UINT32_MAX);
  entries += "some bytes";
  CHECK(DecodeTree(AsBytes(entries)).error().code == Errc::kCorrupt);

  std::string chunks = "FURTREE1";
  PutU32(chunks, 1);
  chunks += '\0';
  PutU16(chunks, 1);
  chunks += 'a';
  PutU64(chunks, 1);
  PutU32(chunks, UINT32_MAX);
  CHECK(DecodeTree(AsBytes(chunks)).error().code == Errc::kCorrupt);

  CHECK(DecodeTree(AsBytes(std::string(kMaxBlobBytes + 1, 'x'))).error().code == Errc::kInvalid);
}

TEST_CASE("tree: links that cost much to check are bounded") {
  std::string target = "a/../";
  while (target.size() < 4000) target += "a/../";
  std::vector<TreeEntry> links;
  for (int i = 0; i < 2000; ++i) links.push_back(Link("l" + std::to_string(i), target));
  CHECK(CodeOf(std::move(links)) == Errc::kInvalid);
}

TEST_CASE("tree: 86,000 files encode and decode") {
  std::vector<TreeEntry> entries;
  for (int i = 0; i < 86'000; ++i)
    entries.push_back(File("folder" + std::to_string(i % 300) + "/some/file" + std::to_string(i) + ".cpp"));
  const Tree tree = MakeTree(std::move(entries)).value();
  const EncodedTree encoded = EncodeTree(tree).value();
  CHECK(encoded.bytes.size() < 8'000'000);
  CHECK(DecodeTree(AsBytes(encoded.bytes)).value() == tree);
}
