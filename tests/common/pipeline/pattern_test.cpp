#include "common/pipeline/pattern.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "common/base/text.h"
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
      {"[a-", "no branch has one in its name"},
      {"[]", "no branch has one in its name"},
      {"[z-a]", "write `[a-z]`"},
      {"{main", "write `[{]`"},
      {"main}", "write `[}]`"},
      {"{main}", "write `{main,OTHER}`"},
      {"{1..3}", "write `{1,2,3}`"},
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
      {"(main|dev)", "write a list of branches, [main, dev], or"},
      {"feature/(a|b)", "[feature/a, feature/b]"},
      {"[main,dev]", "write a list of branches, [main, dev], or"},
      {"[\"main\", 'dev']", "[main, dev]"},
      {"[main|dev]", "[main, dev]"},
      {"release/*, main", "[\"release/*\", main]"},
      {"{main, dev}", "write `{main,dev}`"},
      {"!{ main , dev }", "write `!{main,dev}`"},
      {"{origin/main,dev}", "write `{main,dev}`, or `[o]rigin/main` if"},
      {"!origin/main", "write `!main`, or `![o]rigin/main` if"},
      {"refs/heads/refs/heads/main", "write `main`"},
      {"^(main|dev)$", "[main, dev]"},
      {"^release/.*$", "write `release/**`"},
      {"release/.+", "write `release/?**`"},
      {"{a,}", "write `a`"},
      {"v[0-9]+.[0-9]+", "write `v[0-9]*.[0-9]*`, or `[+]`"},
      {"main,", "write `main`, or"},
      {"'main'", "write `main`, or"},
      {"\"main\"", "write `main`, or"},
      {"(?!main).*", "no regular expression"},
      {"v[0-9]+(\\.[0-9]+)*", "no regular expression"},
      {"{{a,b}}", "write `{a,b}`"},
      {"{a..c}/x", "write `{a,b,c}/x`"},
      {"a/../b", "write `b`"},
      {"v\\d+", "`[0-9]` is a digit"},
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
      {"C:\\x", "write `x`"},
      {"\\\\server\\x", "write `server/x`"},
      {"\\*.py", "write `[*].py`"},
      {"\\!x", "write `?x`"},
      {"a\\ b", "write `a b`"},
      {"!C:\\x", "write `!x`"},
      {"!/x", "write `!x`"},
      {"{src, lib}/**", "write `{src,lib}/**`"},
      {"{/src,lib}", "write `{src,lib}`"},
      {"[src,lib]/**", "write `{src,lib}/**`"},
      {"src/**, lib/**", "write `{src/**,lib/**}`"},
      {"src/**,lib/**", "write `{src/**,lib/**}`"},
      {"(src|lib)/**", "write `{src/**,lib/**}`"},
      {"a/../x", "write `x`"},
      {"a,b.csv", "= a,b.csv"},
      {"a[,]b[|]", "= a[,]b[|]"},
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

TEST_CASE("pattern: a class that is not known is refused, and what is known is accepted") {
  for (const PatternUse use : kUses) {
    for (const char* pattern : {"[[:foo:]]*", "x[[:DIGIT:]]", "[![:word:]]", "[[:cntrl:]]x", "[[.a.]]", "[[=a=]]x",
                                "[a[:foo:]]", "![[:foo:]]"})
      CHECK_MESSAGE(Said(pattern, use).find("not known; these are: `[[:alnum:]]`") != std::string::npos, pattern);
    CHECK(Said("[:digit:]x", use).find("write `[[:digit:]]x`") != std::string::npos);
    for (const char* pattern : {"[[:digit:]]", "[a[:upper:]_]x", "[![:punct:]]", "[a.]x", "[=]x", "[a=b]"})
      CHECK_MESSAGE(Said(pattern, use) == std::string("= ") + pattern, pattern);
  }
}

TEST_CASE("pattern: a character that nobody sees is refused") {
  const char* hidden[] = {"\u00A0", "\u00AD", "\u1680", "\u180E", "\u2003", "\u200B", "\u200D", "\u202E",
                          "\u202F", "\u2028", "\u2060", "\u2066", "\u3000", "\uFEFF", "\uFFA0", "\U000E0041"};
  for (const PatternUse use : kUses)
    for (const std::string character : hidden) {
      CAPTURE(furrow::CharacterName(character));
      const std::string name = "the character " + furrow::CharacterName(character) + ",";
      for (const std::string& pattern : {character + "main", "main" + character, "!ma" + character + "in",
                                         "{a," + character + "b}", "[" + character + "]"}) {
        const std::string said = Said(pattern, use);
        CHECK(said.find(name) != std::string::npos);
        CHECK(furrow::Plain(said.substr(said.find("; write"))) == said.substr(said.find("; write")));
      }
      CHECK(Said(character + "main", use).find("write `main`") != std::string::npos);
      CHECK_FALSE(Said(character, use).starts_with("="));
    }
  for (const PatternUse use : kUses) {
    CHECK(Said("a\xFF", use).find("is not UTF-8: it holds the byte 0xFF") != std::string::npos);
    CHECK(Said("ünï/日本/🐎", use).starts_with("="));
  }
}

TEST_CASE("pattern: whatever is written instead is accepted") {
  std::mt19937 dice(5);
  std::vector<std::string> pieces = kPieces;
  for (const char* more :
       {"(",     ")",  "(main|dev)", ", ",   "\\",         "C:\\",      "C:/",    "[main,dev]", "{a, b}",
        "^",     "$",  ".*",         "..",   "[[:foo:]]",  "[:digit:]", "\u00A0", "\u200B",     "{1..3}",
        "[z-a]", "\n", "\\!",        "\\d+", "refs/tags/", "!",         "{a,}",   "[|]",        "[,]"})
    pieces.push_back(more);
  int cures = 0, lists = 0;
  for (int i = 0; i < 20'000; ++i) {
    const std::string written = Random(dice, pieces);
    for (const PatternUse use : kUses) {
      const auto read = ReadPattern(written, use);
      if (read) continue;
      const std::string& said = read.error().message;
      const std::size_t at = said.rfind("; write ");
      if (at == std::string::npos) continue;
      CAPTURE(written);
      CAPTURE(said);
      std::string cure = said.substr(at + 8);
      if (const std::string list = "a list of branches, "; cure.starts_with(list)) {
        ++lists;
        cure = cure.substr(list.size(), cure.rfind("], or ") - list.size() + 1);
        const auto parsed = furrow::ParsePipeline(
            "on: { push: { branches: " + cure + " } }\njobs: { a: { steps: [{ run: x }] } }\n", "p");
        for (const auto& wrong : parsed.diagnostics) CHECK(wrong.message.find("the pattern") == std::string::npos);
        continue;
      }
      if (!cure.starts_with("`") || cure.starts_with("`?` in") || cure.find("` for the character") < 5) continue;
      if (cure.starts_with("`[$]` for") || cure.starts_with("`{ä,ö}`")) continue;
      const std::size_t end = std::min(cure.find("`, or "), cure.rfind('`'));
      ++cures;
      CHECK_MESSAGE(ReadPattern(cure.substr(1, end - 1), use).has_value(), cure);
    }
  }
  CHECK(cures > 1'000);
  CHECK(lists > 20);
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
  for (const char* bare : {"!wip", "!wip/**", "*", "*/x", "*.py", "**"})
    CHECK_MESSAGE(
        said("branches: [" + std::string(bare) + "]").find("quote a text that begins with `") != std::string::npos,
        bare);
  CHECK(said("branches: [{main, dev}]").find("must be a text; one with `{` needs quotes, not a mapping") !=
        std::string::npos);
  CHECK(said("paths: [[main, dev]]").find("must be a text; one with `[` needs quotes, not a list") !=
        std::string::npos);
  CHECK(said("paths: [\"C:\\x\"]").find("use single quotes") != std::string::npos);
}
