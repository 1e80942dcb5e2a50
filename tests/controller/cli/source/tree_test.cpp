// With a real git.
#include "controller/cli/source/tree.h"

#include <doctest/doctest.h>
#include <unistd.h>

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

namespace {

bool Says(const SourceInfo& info, const std::string& words) {
  for (const std::string& note : info.notes)
    if (note.find(words) != std::string::npos) return true;
  return false;
}

SourceInfo InfoOf(const std::string& folder) {
  const auto sources = SourceTree::OfFolder(folder);
  REQUIRE_MESSAGE(sources, sources.error().message);
  return sources->info();
}

}  // namespace

TEST_CASE("source tree: what is called a commit is what a push of it delivers, or a line says what differs") {
  const struct {
    const char* what;
    std::vector<std::vector<std::string>> git;  // commands
    std::string file, content;                  // written after them; empty: none
    std::string removed;
    const char* words;
  } cases[] = {
      {"clean", {}, "", "", "", nullptr},
      {"ignored", {}, "x.o", "object", "", nullptr},
      {"a change that git was told not to see, of equal size",
       {{"update-index", "--assume-unchanged", "a.txt"}},
       "a.txt",
       "ONE\n",
       "",
       "a.txt"},
      {"a sparse checkout", {{"update-index", "--skip-worktree", "a.txt"}}, "", "", "a.txt", "are not here"},
      {"line ends",
       {{"config", "core.autocrlf", "true"}, {"rm", "-q", "--cached", "-r", "."}, {"reset", "-q", "--hard"}},
       "",
       "",
       "",
       "byte for byte"},
      {"a filter that keeps the size",
       {{"config", "filter.up.smudge", "tr a-z A-Z"},
        {"config", "filter.up.clean", "tr A-Z a-z"},
        {"checkout", "-q", "filtered"}},
       "",
       "",
       "",
       "f.up"},
      {"a pointer of Git LFS", {{"checkout", "-q", "lfs"}}, "", "", "", "pointers of Git LFS"},
      {"modes that git does not see", {{"config", "core.fileMode", "false"}}, "", "", "+x", "another mode"},
  };
  for (const auto& one : cases) {
    CAPTURE(one.what);
    Repository repository;
    repository.Write(".gitignore", "*.o\n");
    repository.Write("a.txt", "one\n");
    repository.Write("sub/b.txt", "two\n");
    repository.Git({"add", "-A"});
    repository.Git({"commit", "-q", "-m", "one"});
    repository.Git({"checkout", "-q", "-b", "filtered"});
    repository.Write(".gitattributes", "*.up filter=up\n");
    repository.Write("f.up", "lower\n");
    repository.Git({"add", "-A"});
    repository.Git({"commit", "-q", "-m", "two"});
    repository.Git({"checkout", "-q", "main"});
    repository.Git({"checkout", "-q", "-b", "lfs"});
    repository.Write(".gitattributes", "*.bin filter=lfs -text\n");
    repository.Write("m.bin",
                     "version https://git-lfs.github.com/spec/v1\noid sha256:" + std::string(64, 'a') + "\nsize 9\n");
    repository.Git(
        {"-c", "filter.lfs.process=", "-c", "filter.lfs.required=false", "-c", "filter.lfs.clean=cat", "add", "-A"});
    repository.Git({"commit", "-q", "-m", "three"});
    repository.Git({"checkout", "-q", "main"});
    for (const auto& words : one.git) repository.Git(words);
    if (!one.file.empty()) repository.Write(one.file, one.content);
    if (one.removed == "+x")
      std::filesystem::permissions(repository.Root() + "/a.txt", std::filesystem::perms::owner_all);
    else if (!one.removed.empty())
      std::filesystem::remove(repository.Root() + "/" + one.removed);
    const SourceInfo info = InfoOf(repository.Root());
    if (one.words == nullptr) {
      CHECK(info.notes.empty());
      CHECK_FALSE(info.dirty);
    } else {
      CHECK(info.notes.size() == 1);
      CHECK(Says(info, one.words));
      CHECK(info.dirty == (std::string(one.words) != "pointers of Git LFS"));
    }
  }
}

TEST_CASE("source tree: submodules and parts of a commit are named, and linked working copies are of one repository") {
  Repository inner, repository;
  inner.Write("x", "1");
  inner.Git({"add", "-A"});
  inner.Git({"commit", "-q", "-m", "inner"});
  repository.Write("sub/a", "1");
  repository.Git({"add", "-A"});
  repository.Git({"-c", "protocol.file.allow=always", "submodule", "--quiet", "add", inner.Root(), "lib"});
  repository.Git({"commit", "-q", "-m", "one"});
  const SourceInfo info = InfoOf(repository.Root());
  CHECK(Says(info, "submodules"));
  CHECK(info.dirty);
  CHECK(Says(InfoOf(repository.Root() + "/sub"), "only the folder sub/"));
  CHECK_FALSE(Says(info, "repositories inside"));
  for (const char* name : {"apart", "sub/apart"}) {
    repository.Git({"init", "-q", name});
    repository.Write(name + std::string("/y"), "1");
  }
  CHECK(Says(InfoOf(repository.Root()),
             "repositories inside this one are sent as they lie here; a push leaves them "
             "out: apart and 1 more"));
  auto pushed = SourceTree::OfRevision(repository.Root(), "main");
  REQUIRE(pushed);
  CHECK(Paths(*pushed) == Names{".gitmodules", "sub/a"});
  CHECK(pushed->info().notes.empty());
  CHECK_FALSE(pushed->info().dirty);
  repository.Git({"worktree", "add", "-q", "../linked", "-b", "linked"});
  CHECK(InfoOf(repository.Root() + "/../linked").repository == InfoOf(repository.Root()).repository);
}

TEST_CASE("source tree: a revision is as git stores it, whatever attributes and settings say") {
  Repository repository;
  repository.Write(".gitattributes", "*.c text eol=crlf\n*.i ident\n");
  repository.Write("sub/.gitattributes", "*.u filter=up\n");
  repository.Write("a.c", "one\n");
  repository.Write("b.i", "$Id$\n");
  repository.Write("sub/c.u", "lower\n");
  repository.Git({"config", "filter.up.smudge", "tr a-z A-Z"});
  repository.Git({"config", "core.autocrlf", "true"});
  repository.Git({"-c", "core.autocrlf=false", "add", "-A"});
  repository.Git({"commit", "-q", "-m", "one"});
  auto sources = SourceTree::OfRevision(repository.Root(), "main");
  REQUIRE_MESSAGE(sources, sources.error().message);
  CHECK(Paths(*sources) == Names{".gitattributes", "a.c", "b.i", "sub/.gitattributes", "sub/c.u"});
  CHECK(sources->tree().Find("a.c")->size == 4);
  CHECK(sources->tree().Find("b.i")->size == 5);
  CHECK(sources->info().notes.empty());
  CHECK_FALSE(sources->info().dirty);
}

TEST_CASE("source tree: git's refusal comes with the cure that git names") {
  if (::geteuid() != 0) return;  // Only root can give a folder to another user.
  Repository repository;
  repository.Git({"commit", "-q", "--allow-empty", "-m", "one"});
  REQUIRE(::chown(repository.Root().c_str(), 1234, 1234) == 0);
  REQUIRE(::chown((repository.Root() + "/.git").c_str(), 1234, 1234) == 0);
  const auto refused = SourceTree::OfFolder(repository.Root());
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message.find("git config --global --add safe.directory " + repository.Root()) !=
        std::string::npos);
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
