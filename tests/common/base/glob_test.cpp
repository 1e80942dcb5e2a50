#include "common/base/glob.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using furrow::GlobMatch;

namespace {

void Check(const std::string& glob, const std::vector<std::string>& matching, const std::vector<std::string>& others) {
  CAPTURE(glob);
  for (const std::string& text : matching) CHECK_MESSAGE(GlobMatch(glob, text), text);
  for (const std::string& text : others) CHECK_FALSE_MESSAGE(GlobMatch(glob, text), text);
}

}  // namespace

TEST_CASE("glob: a star stays within a part, two go over parts") {
  Check("*.py", {"a.py"}, {"src/a.py"});
  Check("release/*", {"release/1.0"}, {"release/1/2"});
  Check("train/**", {"train/a/b.py"}, {"train"});
  Check("**", {"a/b/c"}, {});
  Check("a**c", {"ab/c"}, {});
}

TEST_CASE("glob: `**/` is any number of folders, none too") {
  Check("**/a.py", {"a.py", "x/y/a.py"}, {"x/ya.py"});
  Check("src/**/a.py", {"src/a.py", "src/x/a.py"}, {"srca.py"});
  Check("src/**/*.py", {"src/x/y/b.py"}, {});
}

TEST_CASE("glob: `?` is one character but no slash, whatever its bytes; the rest is literal") {
  Check("a?c", {"abc"}, {"a/c", "ac"});
  Check("?.py", {"ü.py"}, {});
  Check("??.py", {}, {"ü.py"});
  Check("a-].{b}", {"a-].{b}"}, {});
  Check("[a-.{b}", {"[a-.{b}"}, {});
  Check("", {""}, {"a"});
  Check("*", {""}, {});
}

TEST_CASE("glob: a set is one of its characters, or one other, and never a slash") {
  Check("v[0-9].*", {"v2.x"}, {"vx.x"});
  Check("[!a-c]x", {"dx"}, {"bx"});
  Check("[^a-c]x", {"üx"}, {});
  Check("a[!b]c", {}, {"a/c"});
  Check("[[:digit:][:upper:]]", {"Q"}, {});
  Check("[]]", {"]"}, {});
  Check("[[]a[]]", {"[a]"}, {});
  CHECK(GlobMatch(furrow::LiteralPattern("[a]*?.{b}"), "[a]*?.{b}"));
}

TEST_CASE("glob: a hostile pattern takes no longer than glob times text") {
  std::string glob;
  for (int i = 0; i < 200; ++i) glob += "*a";
  CHECK_FALSE(GlobMatch(glob + "b", std::string(2000, 'a')));
  CHECK(GlobMatch(glob, std::string(2000, 'a')));
}
