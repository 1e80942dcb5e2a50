#include "common/pipeline/pattern.h"

#include <doctest/doctest.h>

#include <random>
#include <string>
#include <utility>
#include <vector>

#include "common/pipeline/pipeline.h"

using furrow::CheckPatterns;
using furrow::PatternUse;
using furrow::ReadPattern;
using furrow::Takes;
using furrow::WitnessOf;
using Patterns = std::vector<std::string>;

namespace {

constexpr PatternUse kUses[] = {PatternUse::kBranches, PatternUse::kPaths, PatternUse::kArtifacts};

// Returns what is to be written instead of a pattern, or what it stands for.
std::string Said(const std::string& pattern, PatternUse use) {
  const auto read = ReadPattern(pattern, use);
  if (!read) return read.error().message;
  std::string all;
  for (const std::string& one : *read) all += (all.empty() ? "" : " ") + one;
  return "= " + all;
}

std::string Random(std::mt19937& dice, const std::vector<std::string>& pieces) {
  std::string text;
  for (unsigned left = dice() % 7; left > 0; --left) text += pieces[dice() % pieces.size()];
  return text;
}

const std::vector<std::string> kPieces = {
    "*", "**", "?", "/", "./",  "../", ".",  "a",     "main", "train", "[a-c]",       "[!a]",    "[",
    "]", "{",  "}", ",", "!",   " ",   "\\", ".lock", ".git", "@",     "refs/heads/", "origin/", "~",
    "^", "$",  "|", "-", "**/", "/**", "ü",  "[.]",   "[~]",  "{a,b}", "{main,x}",    "HEAD"};

}  // namespace

TEST_CASE("pattern: what can match no branch is refused, with what to write") {
  const std::pair<const char*, const char*> cases[] = {
      {"/train/**", "write `train/**`"},
      {"./train", "write `train`"},
      {"train/", "write `train/**`"},
      {"train//x", "write `train/x`"},
      {"refs/heads/main", "write `main`"},
      {"refs/heads/*", "write `*`"},
      {"origin/main", "write `main`"},
      {"refs/remotes/origin/main", "write `main`"},
      {"refs/tags/v1", "names of branches"},
      {"main ", "write `main`"},
      {" main", "write `main`"},
      {"", "`**` matches all"},
      {"  ", "`**` matches all"},
      {"a\\b", "write `a/b`"},
      {"../x", "can match no branch"},
      {"a/./b", "can match no branch"},
      {"a b", "can match no branch"},
      {"~/x", "can match no branch"},
      {"*.lock", "can match no branch"},
      {"x/.y", "can match no branch"},
      {"a..b", "can match no branch"},
      {"main.", "can match no branch"},
      {"[~^:]", "can match no branch"},
      {"[a-", "write `[[]`"},
      {"[]", "write `[[]`"},
      {"[z-a]", "write `a-z`"},
      {"{main", "write `[{]`"},
      {"main}", "write `[}]`"},
      {"{main}", "write `{main,OTHER}`"},
      {"{1..3}", "write `{1..3,OTHER}`"},
      {"main,dev", "[main, dev]"},
      {"main|dev", "[main, dev]"},
      {"^main$", "no regular expression"},
      {"main$", "no regular expression"},
      {"${BRANCH}", "not replaced"},
      {"HEAD", "is no branch"},
      {"!!x", "write `!x`"},
      {"! x", "write `!x`"},
      {"!  wip/**", "write `!wip/**`"},
      {"!", "excludes nothing"},
      {"main\ndev", "several lines"},
      {"[ä]", "beyond ASCII"},
      {"\\*", "write `[*]`"},
  };
  for (const auto& [pattern, words] : cases) {
    const auto& shown = pattern;  // a lambda cannot take a part of a binding
    CAPTURE(shown);
    const std::string said = Said(pattern, PatternUse::kBranches);
    CAPTURE(said);
    CHECK_FALSE(said.starts_with("="));
    CHECK(said.find(words) != std::string::npos);
  }
}

TEST_CASE("pattern: what can match no path is refused, with what to write; what has one meaning is normalised") {
  const std::pair<const char*, const char*> cases[] = {
      {"/train/**", "write `train/**`"},
      {"../x", "by `..`"},
      {"a/../x", "by `..`"},
      {"~/x", "is no home"},
      {"*.py ", "write `*.py`"},
      {"train\\x.py", "write `train/x.py`"},
      {"", "`**` matches all"},
      {".", "`**` is all of it"},
      {"!/x", "behind its `!` it must be relative"},
      {"!x\\y", "behind its `!` it has a backslash"},
      {"/", "write `**`"},
      {"//", "write `**`"},
      {"[a-", "write `[[]`"},
      {"a[x/y]", "write `[[]`"},
      {"$OUT/x", "not replaced"},
      {"a|b", "`[|]`"},
      {"C:/train", "write `train`"},
      {"https://x/y", "is an address"},
      {"./train/**", "= train/**"},
      {"train//x", "= train/x"},
      {"a/./b", "= a/b"},
      {"{a,b{c,d}}.py", "= a.py bc.py bd.py"},
      {"x{,.bak}", "= x x.bak"},
      {"[{]a}", "`}` without"},
      {"[{]a[}]", "= [{]a[}]"},
      {"!train/doc/**", "= !train/doc/**"},
      {"!./a//{b,c}", "= !a/b !a/c"},
      {"$x.class", "not replaced"},
      {"A$B.class", "= A$B.class"},
  };
  for (const PatternUse use : {PatternUse::kPaths, PatternUse::kArtifacts})
    for (const auto& [pattern, words] : cases) {
      const auto& shown = pattern;  // a lambda cannot take a part of a binding
      CAPTURE(shown);
      const std::string said = Said(pattern, use);
      CAPTURE(said);
      CHECK(said.find(words) != std::string::npos);
    }
  CHECK(Said("train/", PatternUse::kPaths) == "= train/**");
  CHECK(Said("train/", PatternUse::kArtifacts) == "= train");
  CHECK(Said(".git/**", PatternUse::kPaths).find("git keeps none") != std::string::npos);
  CHECK(Said(std::string(256, 'a') + "/b", PatternUse::kPaths).find("255") != std::string::npos);
}

TEST_CASE("pattern: the last one that matches decides, and folders stand for what is beneath them") {
  CHECK(Takes({"train/**", "!train/doc/**"}, "train/a.py", PatternUse::kPaths));
  CHECK_FALSE(Takes({"train/**", "!train/doc/**"}, "train/doc/x/a.md", PatternUse::kPaths));
  CHECK(Takes({"train/**", "!train/doc", "train/doc/keep"}, "train/doc/keep", PatternUse::kPaths));
  CHECK_FALSE(Takes({"train/**", "!train/doc", "train/doc/keep"}, "train/doc/other", PatternUse::kPaths));
  CHECK(Takes({"train"}, "train/a/b.py", PatternUse::kPaths));
  CHECK_FALSE(Takes({"*"}, "train/a.py", PatternUse::kPaths));
  CHECK(Takes({"*"}, "train/a.py", PatternUse::kArtifacts));
  CHECK_FALSE(Takes({"train"}, "train/a", PatternUse::kBranches));
  CHECK_FALSE(Takes({"**", "!wip", "!wip/**"}, "wip/x", PatternUse::kBranches));
}

TEST_CASE("pattern: a list in which nothing is left is refused") {
  for (const PatternUse use : kUses) {
    CHECK(CheckPatterns({"**", "!wip"}, use).has_value());
    CHECK(CheckPatterns({"?", "!x"}, use).has_value());
    CHECK_FALSE(CheckPatterns({"!wip"}, use).has_value());
    CHECK_FALSE(CheckPatterns({"!wip", "**"}, use).has_value());
    CHECK_FALSE(CheckPatterns({"main", "!main"}, use).has_value());
    CHECK_FALSE(CheckPatterns({"src/*", "a", "!**"}, use).has_value());
    CHECK_FALSE(CheckPatterns({"[ab]", "!a", "!b"}, use).has_value());
  }
  CHECK_FALSE(CheckPatterns({"src/doc/**", "!src"}, PatternUse::kPaths).has_value());
  CHECK_FALSE(CheckPatterns({"*.lock/x", "a", "!a"}, PatternUse::kBranches).has_value());
}

TEST_CASE("pattern: whatever is accepted matches something that git or a file system allows") {
  std::mt19937 dice(7);
  int accepted = 0;
  for (int i = 0; i < 30'000; ++i) {
    const std::string written = Random(dice, kPieces);
    for (const PatternUse use : kUses) {
      const auto read = ReadPattern(written, use);
      if (!read || !CheckPatterns(*read, use)) continue;
      ++accepted;
      for (const std::string& pattern : *read) {
        const auto witness = WitnessOf({pattern}, use);
        CAPTURE(written);
        CAPTURE(pattern);
        REQUIRE(witness);
        CAPTURE(*witness);
        CHECK(Takes({pattern}, *witness, use));
        CHECK(witness->find("//") == std::string::npos);
        CHECK_FALSE(witness->starts_with('/'));
        CHECK_FALSE(witness->ends_with('/'));
        if (use != PatternUse::kBranches) continue;
        for (const char* never : {"..", "@{", " ", "~", "^", ":", "\\", "*", "?", "[", "/.", ".lock/"})
          CHECK(witness->find(never) == std::string::npos);
        for (const char* never : {".", ".lock"}) CHECK_FALSE(witness->ends_with(never));
        CHECK_FALSE(witness->starts_with('.'));
      }
    }
  }
  CHECK(accepted > 1'000);
}

TEST_CASE("pattern: whatever list is accepted takes something") {
  std::mt19937 dice(11);
  int accepted = 0;
  for (int i = 0; i < 3'000; ++i) {
    const PatternUse use = kUses[i % 3];
    Patterns list;
    for (unsigned left = 1 + dice() % 4; left > 0; --left) {
      const auto read = ReadPattern((dice() % 2 == 0 ? "!" : "") + Random(dice, kPieces), use);
      if (read) list.insert(list.end(), read->begin(), read->end());
    }
    if (list.empty() || !CheckPatterns(list, use)) continue;
    ++accepted;
    const auto witness = WitnessOf(list, use);
    if (witness) CHECK(Takes(list, *witness, use));
    if (list.size() > 1 && !witness) MESSAGE("given up: " << list.size() << " patterns");
  }
  CHECK(accepted > 100);
}

TEST_CASE("pattern: a hostile list is judged quickly") {
  std::string stars;
  for (int i = 0; i < 1'000; ++i) stars += "*a?";
  CHECK(ReadPattern(stars, PatternUse::kPaths).has_value());
  Patterns list{"*a????????????????????", "!*b????????????????????"};
  CHECK(CheckPatterns(list, PatternUse::kPaths).has_value());
  std::string braces;
  for (int i = 0; i < 1'000; ++i) braces += "{a,b}";
  CHECK_FALSE(ReadPattern(braces, PatternUse::kPaths).has_value());
  CHECK_FALSE(ReadPattern(std::string(4'000, '{'), PatternUse::kPaths).has_value());
}

TEST_CASE("pattern: furrow.yaml says which pattern of which list, and where") {
  const auto said = [](const std::string& on) {
    const auto parsed =
        furrow::ParsePipeline("on: { push: { " + on + " } }\njobs: { a: { steps: [{ run: x }] } }\n", "p");
    return furrow::FormatDiagnostics("f", parsed.diagnostics);
  };
  CHECK(said("branches: [main, /x]") ==
        "f:1:32: the pattern `/x` of `branches` in `on: push` begins with `/`, which no branch does; write `x`\n");
  CHECK(said("paths: [\"!doc/**\"]").starts_with("f:1:22: `paths` in `on: push` begins with `!doc/**`"));
  CHECK(said("paths: [\"{a,b}/**\", \"!a/x\"]").empty());
}
