#include "common/base/text.h"

#include <doctest/doctest.h>

using namespace furrow;

TEST_CASE("text: what is UTF-8, and where it ends") {
  CHECK(ValidUtf8Prefix("") == 0);
  CHECK(ValidUtf8Prefix("long enough to be read in eights, gr\u00fc\u00df Gott \u20ac \U0001F331") ==
        std::string("long enough to be read in eights, gr\u00fc\u00df Gott \u20ac \U0001F331").size());
  CHECK(ValidUtf8Prefix("caf\xe9") == 3);               // cut off
  CHECK(ValidUtf8Prefix("12345678\xed\xa0\x80") == 8);  // a surrogate
  CHECK(ValidUtf8Prefix("a\xc0\xaf") == 1);             // an overlong form
  CHECK(ValidUtf8Prefix("a\xf4\x90\x80\x80") == 1);     // beyond Unicode
  CHECK(ValidUtf8Prefix("a\xf0\x80\x80\x80") == 1);
  CHECK(ValidUtf8Prefix("\x80") == 0);
  CHECK(IsName("name"));
  CHECK_FALSE(IsName(std::string_view("a\0b", 3)));
  CHECK_FALSE(IsName("caf\xe9"));
}

TEST_CASE("text: repaired where it is no UTF-8 or holds NUL, cut at a whole character, counted") {
  CHECK(RepairedUtf8("caf\xe9, \xed\xa0\x80, \xf0\x9f\x8c\xb1 \xc0\xaf") ==
        "caf\ufffd, \ufffd\ufffd\ufffd, \U0001F331 \ufffd\ufffd");
  CHECK(RepairedUtf8(std::string_view("a\0b", 3)) == "a\ufffdb");
  CHECK(RepairedUtf8("fine") == "fine");
  CHECK(ClippedUtf8("gr\u00fcn", 3) == "gr");
  CHECK(ClippedUtf8("gr\u00fcn", 4) == "gr\u00fc");
  CHECK(ClippedUtf8("short", 9) == "short");
  CHECK(CountCharacters("gr\u00fcn \u20ac") == 6);
}
