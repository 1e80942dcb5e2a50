#include "common/base/text.h"

#include <doctest/doctest.h>

#include <string>

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

TEST_CASE("text: nothing that acts on a terminal, turns its text around or is not seen gets through") {
  CHECK(Plain("a\x1b[2Jb\r\n\t\x7f") == "a?[2Jb????");
  CHECK(PlainLines("a\x1b[2Jb\r\n\t\x7f") == "a?[2Jb?\n\t?");
  CHECK(Plain("\xff\xc3 gr\u00fc\u00df \u20ac \U0001F331\ufe0f") == "?? gr\u00fc\u00df \u20ac \U0001F331\ufe0f");
  for (const char* unseen : {"\u0085", "\u009b", "\u00ad", "\u061c", "\u180e", "\u200b",     "\u200d",
                             "\u200e", "\u200f", "\u2028", "\u2029", "\u202a", "\u202e",     "\u2060",
                             "\u2066", "\u2069", "\ufeff", "\u3164", "\ufff9", "\U000E0041", "\U000E0100"}) {
    CAPTURE(std::string(unseen));
    CHECK(Plain(std::string("main") + unseen + "gnp.exe") == "main?gnp.exe");
    CHECK(PlainLines(unseen) == "?");
  }
}

TEST_CASE("text: JSON keeps what is not seen, escaped") {
  CHECK(EscapeUnseen("{\n  \"a\": \"x\u202ey\u200b\x7f\U000E0041 gr\u00fc\"\n}") ==
        "{\n  \"a\": \"x\\u202ey\\u200b\\u007f\\udb40\\udc41 gr\u00fc\"\n}");
  CHECK(EscapeUnseen("{\"a\": 1}\n") == "{\"a\": 1}\n");
}
