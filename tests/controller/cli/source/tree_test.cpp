// With a real git.
#include "controller/cli/source/tree.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>

#include "common/base/run_program.h"
#include "tests/support/temp_folder.h"

namespace furrow::cli {
namespace {

class Repository {
 public:
  Repository() {
    ::setenv("XDG_CACHE_HOME", (folder_ / "cache").c_str(), 1);
    std::filesystem::create_directories(Root());
    Git({"init", "-q", "-b", "main"});
    Git({"config", "user.name", "Ann"});
    Git({"config", "user.email", "ann@example"});
  }
  std::string Root() const { return folder_ / "repo"; }
  void Write(const std::string& name, const std::string& text) const { folder_.Write("repo/" + name, text); }
  std::string Git(std::vector<std::string> words) const {
    words.insert(words.begin(), "git");
    const auto result = RunProgram(words, {Root(), {}, {}});
    REQUIRE(result);
    INFO(result->err);
    REQUIRE(result->status == 0);
    return result->out.substr(0, result->out.find('\n'));
  }

 private:
  TempFolder folder_;
};

std::vector<std::string> Paths(const SourceTree& sources) {
  std::vector<std::string> paths;
  for (const TreeEntry& entry : sources.tree().entries) paths.push_back(entry.path);
  return paths;
}

using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("source tree: a working copy as it is, without what git ignores") {
  Repository repository;
  repository.Write(".gitignore", "*.o\n");
  repository.Write("a.txt", "one\n");
  repository.Write("gone.txt", "x\n");
  repository.Write("sub/b.txt", "two\n");
  repository.Git({"add", "-A"});
  repository.Git({"commit", "-q", "-m", "the title"});
  auto clean = SourceTree::OfFolder(repository.Root());
  REQUIRE(clean);
  CHECK(clean->info().branch == "main");
  CHECK(clean->info().ref == "refs/heads/main");
  CHECK(clean->info().commit == repository.Git({"rev-parse", "HEAD"}));
  CHECK(clean->info().title == "the title");
  CHECK(clean->info().author == "Ann");
  CHECK_FALSE(clean->info().dirty);

  repository.Write("ignored.o", "x");
  repository.Write("new.txt", "untracked\n");
  repository.Write("a.txt", "changed\n");
  std::filesystem::remove(repository.Root() + "/gone.txt");
  auto dirty = SourceTree::OfFolder(repository.Root());
  REQUIRE(dirty);
  CHECK(dirty->info().dirty);
  CHECK(Paths(*dirty) == Names{".gitignore", "a.txt", "new.txt", "sub/b.txt"});
  CHECK(dirty->tree().Find("a.txt")->size == 8);

  auto part = SourceTree::OfFolder(repository.Root() + "/sub");
  REQUIRE(part);
  CHECK(Paths(*part) == Names{"b.txt"});
}

TEST_CASE("source tree: a revision is what was committed, whatever lies there now") {
  Repository repository;
  repository.Write("a.txt", "one\n");
  repository.Write("sub/run.sh", "#!/bin/sh\n");
  repository.Git({"add", "-A"});
  repository.Git({"update-index", "--chmod=+x", "sub/run.sh"});
  repository.Git({"commit", "-q", "-m", "first"});
  repository.Write("a.txt", "two, longer\n");
  repository.Git({"commit", "-q", "-a", "-m", "second"});
  repository.Write("a.txt", "not committed");

  std::string root;
  {
    auto first = SourceTree::OfRevision(repository.Root(), "HEAD~1");
    REQUIRE(first);
    root = first->root();
    CHECK(first->info().title == "first");
    CHECK_FALSE(first->info().dirty);
    CHECK(first->tree().Find("a.txt")->size == 4);
    CHECK(first->tree().Find("sub/run.sh")->mode == TreeMode::kExecutable);
    std::string bytes(4, '\0');
    CHECK(first->chunks().Read(first->tree().Find("a.txt")->chunks[0], std::as_writable_bytes(std::span(bytes))));
    CHECK(bytes == "one\n");
  }
  CHECK_FALSE(std::filesystem::exists(root));
  auto branch = SourceTree::OfRevision(repository.Root(), "main");
  REQUIRE(branch);
  CHECK(branch->info().branch == "main");
  CHECK(branch->tree().Find("a.txt")->size == 12);
  auto part = SourceTree::OfRevision(repository.Root() + "/sub", "main");
  REQUIRE(part);
  CHECK(Paths(*part) == Names{"run.sh"});
  CHECK(SourceTree::OfRevision(repository.Root(), "nothing").error().code == Errc::kInvalid);
  CHECK(SourceTree::OfRevision(repository.Root(), "--help").error().code == Errc::kInvalid);
}

TEST_CASE("source tree: a folder outside any repository is taken whole") {
  TempFolder folder;
  ::setenv("XDG_CACHE_HOME", (folder / "cache").c_str(), 1);
  folder.Write("work/a/b.txt", "x");
  folder.Write("work/c.txt", "y");
  auto sources = SourceTree::OfFolder(folder / "work");
  REQUIRE(sources);
  CHECK(Paths(*sources) == Names{"a/b.txt", "c.txt"});
  CHECK(sources->info().commit.empty());
}

}  // namespace furrow::cli
