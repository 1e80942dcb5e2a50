#include <doctest/doctest.h>

#include "common/base/glob.h"

using furrow::GlobMatch;

TEST_CASE("glob: a star stays within a part, two go over parts") {
  CHECK(GlobMatch("*.py", "a.py"));
  CHECK_FALSE(GlobMatch("*.py", "src/a.py"));
  CHECK(GlobMatch("release/*", "release/1.0"));
  CHECK_FALSE(GlobMatch("release/*", "release/1/2"));
  CHECK(GlobMatch("train/**", "train/a/b.py"));
  CHECK_FALSE(GlobMatch("train/**", "train"));
  CHECK(GlobMatch("**", "a/b/c"));
  CHECK(GlobMatch("a**c", "ab/c"));
}

TEST_CASE("glob: `**/` is any number of folders, none too") {
  CHECK(GlobMatch("**/a.py", "a.py"));
  CHECK(GlobMatch("**/a.py", "x/y/a.py"));
  CHECK_FALSE(GlobMatch("**/a.py", "x/ya.py"));
  CHECK(GlobMatch("src/**/a.py", "src/a.py"));
  CHECK(GlobMatch("src/**/a.py", "src/x/a.py"));
  CHECK_FALSE(GlobMatch("src/**/a.py", "srca.py"));
  CHECK(GlobMatch("src/**/*.py", "src/x/y/b.py"));
}

TEST_CASE("glob: `?` is one character but no slash, whatever its bytes; the rest is literal") {
  CHECK(GlobMatch("a?c", "abc"));
  CHECK_FALSE(GlobMatch("a?c", "a/c"));
  CHECK_FALSE(GlobMatch("a?c", "ac"));
  CHECK(GlobMatch("?.py", "ü.py"));
  CHECK_FALSE(GlobMatch("??.py", "ü.py"));
  CHECK(GlobMatch("a-].{b}", "a-].{b}"));
  CHECK(GlobMatch("[a-.{b}", "[a-.{b}"));
  CHECK(GlobMatch("", ""));
  CHECK_FALSE(GlobMatch("", "a"));
  CHECK(GlobMatch("*", ""));
}

TEST_CASE("glob: a set is one of its characters, or one other, and never a slash") {
  CHECK(GlobMatch("v[0-9].*", "v2.x"));
  CHECK_FALSE(GlobMatch("v[0-9].*", "vx.x"));
  CHECK(GlobMatch("[!a-c]x", "dx"));
  CHECK(GlobMatch("[^a-c]x", "üx"));
  CHECK_FALSE(GlobMatch("[!a-c]x", "bx"));
  CHECK_FALSE(GlobMatch("a[!b]c", "a/c"));
  CHECK(GlobMatch("[[:digit:][:upper:]]", "Q"));
  CHECK(GlobMatch("[]]", "]"));
  CHECK(GlobMatch("[[]a[]]", "[a]"));
  CHECK(GlobMatch(furrow::LiteralPattern("[a]*?.{b}"), "[a]*?.{b}"));
}

TEST_CASE("glob: a hostile pattern takes no longer than glob times text") {
  std::string glob;
  for (int i = 0; i < 200; ++i) glob += "*a";
  CHECK_FALSE(GlobMatch(glob + "b", std::string(2000, 'a')));
  CHECK(GlobMatch(glob, std::string(2000, 'a')));
}
