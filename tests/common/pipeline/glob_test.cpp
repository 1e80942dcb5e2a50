#include <doctest/doctest.h>

#include "common/pipeline/pipeline.h"

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

TEST_CASE("glob: `?` is one character but no slash, the rest is literal") {
  CHECK(GlobMatch("a?c", "abc"));
  CHECK_FALSE(GlobMatch("a?c", "a/c"));
  CHECK_FALSE(GlobMatch("a?c", "ac"));
  CHECK(GlobMatch("[a].{b}", "[a].{b}"));
  CHECK_FALSE(GlobMatch("[a]*", "ab"));
  CHECK(GlobMatch("", ""));
  CHECK_FALSE(GlobMatch("", "a"));
  CHECK(GlobMatch("*", ""));
}

TEST_CASE("glob: a hostile pattern takes no longer than glob times text") {
  std::string glob;
  for (int i = 0; i < 200; ++i) glob += "*a";
  CHECK_FALSE(GlobMatch(glob + "b", std::string(2000, 'a')));
  CHECK(GlobMatch(glob, std::string(2000, 'a')));
}
