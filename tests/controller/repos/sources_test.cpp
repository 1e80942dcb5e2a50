// What a push delivers where git stores something else than a checkout has, and where a repository leads elsewhere.
#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <unistd.h>

#include "tests/controller/repos/repository_farm.h"

namespace furrow {
namespace {

namespace fs = std::filesystem;
using namespace furrow::testing;

struct Farm : RepositoryFarm {
  Farm() : RepositoryFarm(WORKER_PROGRAM) {}
};

bool Says(const std::vector<std::string>& notes, const std::string& words, const std::string& path) {
  return std::any_of(notes.begin(), notes.end(), [&](const std::string& note) {
    return note.find(words) != std::string::npos && note.find(path) != std::string::npos;
  });
}

}  // namespace

TEST_CASE("sources: whatever a checkout would convert is named") {
  const struct {
    const char* attribute;
    const char* words;
  } cases[] = {{"filter=rot13", "the filter `rot13`"},
               {"ident", "`$Id$` without"},
               {"text eol=crlf", "end their lines with LF"},
               {"working-tree-encoding=UTF-16LE", "not in UTF-16LE"}};
  for (const auto& [attribute, words] : cases) {
    const auto& shown = attribute;  // a lambda cannot take a part of a binding
    CAPTURE(shown);
    Farm farm;
    farm.Write("sub/a.txt", "$Id$ one\n");
    farm.Write("plain", "two\n");
    const std::string none = farm.Push("before");
    farm.Write("sub/.gitattributes", std::string("*.txt ") + attribute + "\n");
    Shell(farm.root / "work",
          "git add sub/.gitattributes 2>/dev/null; git commit -q -m attributes; git push -q origin HEAD:main");
    const auto before = farm.Import(none);
    REQUIRE(before);
    CHECK(before->notes.empty());
    const auto after = farm.Import(Shell(farm.root / "work", "git rev-parse HEAD"));
    REQUIRE_MESSAGE(after, after.error().message);
    CHECK(Says(after->notes, words, "sub/a.txt"));
    CHECK(after->notes.size() == 1);
  }
}

TEST_CASE("sources: a file of Git LFS is its content where the repository holds it, else a word says that it is not") {
  Farm farm;
  const std::string content = "weights\n";
  const std::string oid = HashOf(content).ToHex();
  const auto pointer = [](const std::string& of, std::size_t size) {
    return "version https://git-lfs.github.com/spec/v1\noid sha256:" + of + "\nsize " + std::to_string(size) + "\n";
  };
  farm.Write(".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n");
  farm.Write("here.bin", pointer(oid, content.size()));
  farm.Write("away.bin", pointer(std::string(64, 'a'), 9));
  farm.Write("damaged.bin", pointer(std::string(64, 'b'), 4));
  farm.Write("plain.bin", "no pointer\n");
  const std::string commit = farm.Push("models");
  const fs::path objects = farm.root / "origin.git/lfs/objects";
  const auto put = [&](const std::string& name, const std::string& bytes) {
    fs::create_directories(objects / name.substr(0, 2) / name.substr(2, 2));
    std::ofstream(objects / name.substr(0, 2) / name.substr(2, 2) / name) << bytes;
  };
  put(oid, content);
  put(std::string(64, 'b'), "evil");
  for (int again = 0; again < 2; ++again) {  // with and without what the cache knows
    const auto imported = farm.Import(commit);
    REQUIRE_MESSAGE(imported, imported.error().message);
    const Tree tree = farm.TreeOf(*imported);
    CHECK(Content(farm, tree, "here.bin") == content);
    CHECK(Content(farm, tree, "away.bin") == pointer(std::string(64, 'a'), 9));
    CHECK(Content(farm, tree, "damaged.bin") == pointer(std::string(64, 'b'), 4));
    CHECK(Content(farm, tree, "plain.bin") == "no pointer\n");
    CHECK(Says(imported->notes, "find the pointers", "away.bin and 1 more"));
  }
}

TEST_CASE("sources: where furrow.yaml is missing, what may have been meant is named") {
  const std::pair<const char*, const char*> cases[] = {{"furrow.yml", "call it furrow.yaml"},
                                                       {".furrow.yaml", "call it furrow.yaml"},
                                                       {"Furrow.YAML", "call it furrow.yaml"},
                                                       {"furrow.yaml.txt", "call it furrow.yaml"},
                                                       {"train/furrow.yaml", "only a furrow.yaml in the root"}};
  for (const auto& [name, words] : cases) {
    Farm farm;
    farm.Write(name, "jobs: {}\n");
    const auto imported = farm.Import(farm.Push("one"));
    REQUIRE(imported);
    CAPTURE(name);
    CHECK_FALSE(imported->has_pipeline);
    CHECK(imported->hint.find(std::string("there is ") + name) != std::string::npos);
    CHECK(imported->hint.find(words) != std::string::npos);
  }
  Farm farm;
  farm.Write("README", "x");
  CHECK(farm.Import(farm.Push("one"))->hint.empty());
}

TEST_CASE("sources: a pipeline file that is a link is followed within the commit") {
  const std::pair<const char*, const char*> cases[] = {
      {"ln -s ci/one.yaml furrow.yaml", ""},
      {"ln -s ci/link.yaml furrow.yaml; ln -s one.yaml ci/link.yaml", ""},
      {"ln -s ./ci/../ci/one.yaml furrow.yaml", ""},
      {"ln -s ci/none.yaml furrow.yaml", "a link to ci/none.yaml, which the commit does not have"},
      {"ln -s ../work/ci/one.yaml furrow.yaml", "outside of the commit"},
      {"ln -s /etc/passwd furrow.yaml", "outside of the commit"},
      {"ln -s ci furrow.yaml", "ci is no file"},
      {"ln -s furrow.yaml furrow.yaml", "a link to a link"},
      {"mkdir furrow.yaml; echo x > furrow.yaml/x", "furrow.yaml is no file"}};
  for (const auto& [made, words] : cases) {
    CAPTURE(made);
    Farm farm;
    farm.Write("ci/one.yaml", "jobs: {}\n");
    Shell(farm.root, std::string("cd work; ") + made);
    const auto imported = farm.Import(farm.Push("one"));
    if (std::string_view(words).empty()) {
      REQUIRE(imported);
      CHECK(imported->pipeline_text == "jobs: {}\n");
      continue;
    }
    REQUIRE_FALSE(imported);
    CHECK(imported.error().code == Errc::kInvalid);
    CHECK(imported.error().message.find(words) != std::string::npos);
  }
}

TEST_CASE("sources: a repository is the same by every path, and two with equal names are not") {
  Farm farm;
  farm.Write("a", "1");
  farm.Push("one");
  Shell(farm.root,
        "mkdir other; git init -q --bare other/origin.git; ln -s origin.git link; git -C work worktree add -q "
        "../linked -b linked");
  const auto identity = [&](const std::string& path) {
    REQUIRE(farm.Refs((farm.root / path).string()));
    return farm.identity;
  };
  const std::string origin = identity("origin.git");
  CHECK_FALSE(origin.empty());
  CHECK(identity("link") == origin);
  CHECK(identity("other/../origin.git/") == origin);
  CHECK(identity("other/origin.git") != origin);
  CHECK(identity("linked") == identity("work"));
  CHECK(identity("work/.git") == identity("work"));
  Shell(farm.root, "mv origin.git renamed.git");
  CHECK(identity("renamed.git") == origin);
  // One that is made in the place of a deleted one may have its number.
  for (int i = 0; i < 3; ++i) {
    const std::string deleted = identity("other/origin.git");
    Shell(farm.root, "rm -r other/origin.git; git init -q --bare other/origin.git");
    CHECK(identity("other/origin.git") != deleted);
  }
}

TEST_CASE("sources: a look says whether the farm's hook is there") {
  Farm farm;
  const std::string origin = (farm.root / "origin.git").string();
  const auto hooked = [&] {
    REQUIRE(farm.Refs(origin));
    return farm.hooked;
  };
  CHECK_FALSE(hooked());
  Shell(farm.root / "origin.git",
        "printf '#!/bin/sh\\n# furrow-hook: post-receive\\n' > hooks/post-receive; chmod +x hooks/post-receive");
  CHECK(hooked());
  Shell(farm.root / "origin.git", "chmod -x hooks/post-receive");
  CHECK_FALSE(hooked());
  Shell(farm.root / "origin.git", "mkdir h; mv hooks/post-receive h; chmod +x h/post-receive");
  CHECK_FALSE(hooked());
  Shell(farm.root / "origin.git", "git config core.hooksPath h");
  CHECK(hooked());
}

TEST_CASE("sources: what git can read and the farm cannot is named, and what it can is read") {
  Farm farm;
  farm.Write("furrow.yaml", "jobs: {}\n");
  farm.Write("a", "1");
  const std::string commit = farm.Push("one");
  Shell(farm.root,
        "git init -q --bare --object-format=sha256 wide.git; git -C origin.git symbolic-ref HEAD refs/heads/main; git "
        "-C origin.git config uploadpack.allowFilter true;"
        "git clone -q --bare --filter=blob:none file://$PWD/origin.git partial.git; git clone -q origin.git sparse;"
        "git -C sparse sparse-checkout set none");
  const auto wide = farm.Refs((farm.root / "wide.git").string());
  REQUIRE_FALSE(wide);
  CHECK(wide.error().code == Errc::kRejected);
  CHECK(wide.error().message.find("SHA-256") != std::string::npos);
  const auto partial = farm.Import(commit, kZeros, (farm.root / "partial.git").string());
  REQUIRE_FALSE(partial);
  CHECK(partial.error().code == Errc::kRejected);
  CHECK(partial.error().message.find("git fetch --refetch") != std::string::npos);
  Shell(farm.root / "partial.git",
        "git config --unset remote.origin.partialclonefilter; git fetch -q --refetch origin main");
  CHECK(farm.Import(commit, kZeros, (farm.root / "partial.git").string()));
  CHECK(farm.Import(commit, kZeros, (farm.root / "sparse").string()));
}

TEST_CASE("sources: a repository leads to none that its owner could not read, by whatever way") {
  if (::geteuid() != 0) return;  // Only root can make folders of two users.
  const std::pair<const char*, const char*> ways[] = {
      {"a file .git", "mkdir mine; echo 'gitdir: ../theirs/.git' > mine/.git"},
      {"alternates", "git init -q mine; echo $PWD/theirs/.git/objects > mine/.git/objects/info/alternates"},
      {"a link .git", "mkdir mine; ln -s ../theirs/.git mine/.git"},
      {"a link to objects",
       "git init -q mine; rm -r mine/.git/objects; ln -s ../../theirs/.git/objects mine/.git/objects"},
      {"a link to packs",
       "git init -q mine; rm -r mine/.git/objects/pack; ln -s ../../../theirs/.git/objects/pack "
       "mine/.git/objects/pack"},
      {"commondir", "git init -q mine; echo ../../theirs/.git > mine/.git/commondir"},
      {"alternates of alternates",
       "git init -q mid; echo $PWD/theirs/.git/objects > mid/.git/objects/info/alternates;"
       "git init -q mine; echo $PWD/mid/.git/objects > mine/.git/objects/info/alternates; chown -R 1234 mid"}};
  for (const auto& [way, commands] : ways) {
    const auto& shown = way;  // a lambda cannot take a part of a binding
    CAPTURE(shown);
    Farm farm;
    fs::permissions(farm.root, fs::perms(0755));
    Shell(farm.root,
          "git init -q theirs; cd theirs; echo secret > s; git add s; git commit -q -m s; git repack -q -a -d; cd ..;"
          "chown -R 4321 theirs; chmod 700 theirs");
    const std::string commit = Shell(farm.root, "git -c safe.directory='*' -C theirs rev-parse HEAD");
    Shell(farm.root, std::string(commands) + "; chown -R -h 1234 mine");
    const std::string mine = (farm.root / "mine").string();
    const auto refused = farm.Import(commit, kZeros, mine);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == Errc::kRejected);
    CHECK(refused.error().message.find("belongs to another user") != std::string::npos);
    CHECK_FALSE(farm.Refs(mine));
    // What all may read, so may who asks.
    Shell(farm.root, "chmod 755 theirs; chmod -R a+rX theirs");
    CHECK(farm.Import(commit, kZeros, mine));
  }
}

TEST_CASE("sources: a repository leads to none that is not on the list") {
  Farm farm;
  Shell(farm.root,
        "mkdir in out; git init -q out/theirs; cd out/theirs; git commit -q --allow-empty -m s; cd ../..;"
        "git init -q in/mine; echo $PWD/out/theirs/.git/objects > in/mine/.git/objects/info/alternates");
  const std::string commit = Shell(farm.root, "git -C out/theirs rev-parse HEAD");
  farm.options.allowed = {(farm.root / "in").string()};
  const auto refused = farm.Import(commit, kZeros, (farm.root / "in/mine").string());
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Errc::kRejected);
  CHECK(refused.error().message.find("list of allowed") != std::string::npos);
}

}  // namespace furrow
