#include "controller/cli/show/text.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "controller/cli/farm/address.h"
#include "controller/cli/follow/log_printer.h"
#include "controller/cli/show/terminal.h"
#include "controller/cli/source/pipeline_file.h"

namespace furrow::cli {

TEST_CASE("text: durations, sizes and numbers are short") {
  using std::chrono::milliseconds;
  CHECK(FormatDuration(milliseconds(420)) == "0.42s");
  CHECK(FormatDuration(milliseconds(12'340)) == "12.3s");
  CHECK(FormatDuration(milliseconds(185'000)) == "3m05s");
  CHECK(FormatDuration(milliseconds(7'440'000)) == "2h04m");
  CHECK(FormatDuration(milliseconds(266'400'000)) == "3d02h");
  CHECK(FormatDuration(milliseconds(-5)) == "0.00s");
  CHECK(FormatBytes(1023) == "1023 B");
  CHECK(FormatBytes(1536) == "1.5 KiB");
  CHECK(FormatBytes(16ull << 30) == "16 GiB");
  CHECK(FormatNumber(0.8125) == "0.8125");
  CHECK(FormatNumber(3) == "3");
  CHECK(FormatNumber(0.00001234) == "1.234e-05");
  CHECK(FormatCpus(500) == "0.5");
}

TEST_CASE("text: cutting counts characters") {
  CHECK(Cut("grüße", 5) == "grüße");
  CHECK(Cut("grüße!", 5) == "grüß…");
  CHECK(Cut("abc", 0).empty());
}

TEST_CASE("text: no line of a table is wider than the terminal, whatever is cut") {
  Table table({{"NAME"}, {"TIME", Table::Align::kRight}, {"COUNT", Table::Align::kRight}, {"NOTE"}});
  table.Add({{"a-long-name"}, {"1h02m"}, {"1234567890"}, {"why it failed"}});
  table.Add({{"b"}, {"1s"}, {"1"}, {"no"}});
  for (std::size_t width = 1; width < 60; ++width) {
    CAPTURE(width);
    std::istringstream lines(table.Render(false, width));
    for (std::string line; std::getline(lines, line);) CHECK(Width(line) <= width);
  }
}

TEST_CASE("text: a column with lines of its own is told whole, in any width; what is left out is named") {
  Table table({{"NAME"},
               {"COUNT", Table::Align::kRight, Table::Room::kSpare},
               {"METRICS", Table::Align::kLeft, Table::Room::kOwnLine},
               {"NOTE", Table::Align::kLeft, Table::Room::kOwnLine}});
  table.Add({{"train"}, {"1234567890"}, {"accuracy=0.9"}, {"exit status 3 in step 2, `make grüße`"}});
  CHECK(table.Render(false, 0) ==
        "NAME        COUNT  METRICS       NOTE\n"
        "train  1234567890  accuracy=0.9  exit status 3 in step 2, `make grüße`\n");
  CHECK(table.Render(false, 40) ==
        "NAME        COUNT  METRICS\n"
        "train  1234567890  accuracy=0.9\n"
        "    exit status 3 in step 2, `make\n"
        "    grüße`\n");
  CHECK(table.Render(false, 12) ==
        "NAME\n"
        "train\n"
        "    accuracy\n"
        "    =0.9\n"
        "    exit\n"
        "    status 3\n"
        "    in step\n"
        "    2, `make\n"
        "    grüße`\n"
        "no room here\n"
        "for: COUNT;\n"
        "see --json,\n"
        "or a wider\n"
        "terminal\n");
  for (std::size_t width = 1; width < 90; ++width) {
    CAPTURE(width);
    std::istringstream lines(table.Render(false, width));
    for (std::string line; std::getline(lines, line);) CHECK(Width(line) <= width);
  }
}

TEST_CASE("text: a table loses no column and no text without a word, in any width") {
  const std::vector<std::string> headings = {"NAME", "COUNT", "FINGERPRINT", "SINCE", "RUN"};
  Table table({{"NAME"},
               {"COUNT", Table::Align::kRight},
               {"FINGERPRINT"},
               {"SINCE", Table::Align::kLeft, Table::Room::kSpare},
               {"RUN"}});
  const std::vector<std::string> cells = {"/srv/git/a/long/path.git", "1234567", "0123-4567-89ab-cdef-0123", "3m ago",
                                          "fashion#42"};
  table.Add({{cells[0]}, {cells[1]}, {cells[2]}, {cells[3]}, {cells[4]}});
  for (std::size_t width = 1; width < 100; ++width) {
    CAPTURE(width);
    const std::string text = table.Render(false, width);
    CAPTURE(text);
    const std::size_t word = std::min(text.find("no room here"), text.size());
    std::string left_out = text.substr(word);
    std::replace(left_out.begin(), left_out.end(), '\n', ' ');
    for (std::size_t i = 0; i < cells.size(); ++i) {
      CAPTURE(headings[i]);
      const bool shown = text.substr(0, word).find(cells[i]) != std::string::npos;
      const std::string rows = text.substr(0, word);
      const bool cut = rows.find("…") != std::string::npos &&
                       rows.find(cells[i].substr(0, std::min<std::size_t>(11, width - 1))) != std::string::npos;
      const bool named = width < 12 || left_out.find(headings[i]) != std::string::npos;
      CHECK((shown || cut || named));
    }
    if (width >= 12 && word < text.size()) CHECK(left_out.find("see --json, or a wider terminal") != std::string::npos);
  }
  CHECK(table.Render(false, 0).find("no room") == std::string::npos);
}

TEST_CASE("log cleaner: colours pass, everything else is shown, wherever it is split") {
  const std::string log = "\x1b[31mred\x1b[0m \x1b[2J\x1b]0;title\x07 10%\r20%\r\nend\x08 \xC2\x9B!";
  const std::string clean = "\x1b[31mred\x1b[0m ^[[2J^[]0;title^G 10%\n20%\nend^H ?!";
  LogCleaner whole;
  CHECK(whole.Clean(log) == clean);
  LogCleaner bytewise;
  std::string out;
  for (const char c : log) out += bytewise.Clean({&c, 1});
  CHECK(out == clean);
}

TEST_CASE("log cleaner: of what is beyond ASCII only what shows something passes, wherever it is split") {
  const struct {
    const char* log;
    const char* clean;
  } cases[] = {
      {"grüße ✓ 日本 😀\n", "grüße ✓ 日本 😀\n"},
      {"rm \xE2\x80\xAEtxt.exe", "rm ?txt.exe"},  // U+202E
      {"\xE2\x81\xA6x\xE2\x81\xA9\xE2\x80\x8F\xD8\x9C", "?x???"},
      {"\x9B"
       "31m \x80\xFF",
       "?31m ??"},  // 8-bit control characters
      {"\xC2\x9B"
       "2J\xC2\x85",
       "?2J?"},
      {"\xE2\x80", ""},  // is not complete
      {"\xE2\x80z\xC3\xC3\xBC", "?z?ü"},
      {"\xC0\x9B\xE0\x80\x9B\xF0\x80\x80\x9B\xED\xA0\x80\xF4\x90\x80\x80", "??????"},
      {"\x1b]52;c;cm0=\x07\x1b[?1049h\x1b[10A\x1bP\x1b\\\x1b[1;2H", "^[]52;c;cm0=^G^[[?1049h^[[10A^[P^[\\^[[1;2H"},
  };
  for (const auto& one : cases) {
    CAPTURE(one.clean);
    const std::string log = one.log;
    LogCleaner whole;
    CHECK(whole.Clean(log) == one.clean);
    LogCleaner bytewise;
    std::string out;
    for (const char c : log) out += bytewise.Clean({&c, 1});
    CHECK(out == one.clean);
  }
}

TEST_CASE("log printer: a terminal has its own colours whenever nothing is written") {
  JobView a, b;
  a.id = JobId{1};
  a.job = "a";
  b.id = JobId{2};
  b.job = "b";
  std::vector<std::string> written;
  const auto write = [&](std::string_view text) { written.emplace_back(text); };
  LogPrinter one({false, true, false}, write);
  one.Take(a, "plain \x1b[31mred");
  one.Take(a, " still \x1b[1;4m");
  one.Take(a, "all\x1b[0m plain");
  one.Take(a, "\x1b[38;5;0mblack\x1b[48;2;0;0;0m");
  one.Take(a, "x\x1b[0;32mgreen\x1b[m.\x1b[00m");
  one.Take(a, "end");
  one.End(a);
  CHECK(written == std::vector<std::string>{"plain \x1b[31mred\x1b[0m", "\x1b[31m still \x1b[1;4m\x1b[0m",
                                            "\x1b[31m\x1b[1;4mall\x1b[0m plain",
                                            "\x1b[38;5;0mblack\x1b[48;2;0;0;0m\x1b[0m",
                                            "\x1b[38;5;0m\x1b[48;2;0;0;0mx\x1b[0;32mgreen\x1b[m.\x1b[00m", "end"});
  written.clear();
  LogPrinter lines({true, true, false}, write);
  lines.Take(a, "\x1b[31mred\nstill ");
  lines.Take(b, "plain\n");
  lines.Take(a, "red\n\x1b[0mplain\n");
  std::string all;
  for (const std::string& text : written) all += text;
  CHECK(all == "a: \x1b[31mred\x1b[0m\nb: plain\na: \x1b[31mstill red\x1b[0m\na: \x1b[31m\x1b[0mplain\n");
  written.clear();
  LogPrinter piped({false, false, false}, write);
  piped.Take(a, "\x1b[31mred\x1b]0;title\x07\xFF");
  piped.End(a);
  CHECK(written == std::vector<std::string>{"\x1b[31mred\x1b]0;title\x07\xFF"});
}

TEST_CASE("log printer: lines of jobs beside each other are never mixed") {
  JobView a, b;
  a.id = JobId{1};
  a.job = "a";
  b.id = JobId{2};
  b.job = "b";
  b.shard = 3;
  b.shard_count = 4;
  std::string out;
  LogPrinter printer({true, false, false}, [&](std::string_view text) { out += text; });
  printer.Take(a, "one");
  printer.Take(b, "x\ny");
  printer.Take(a, " and a half\ntwo");
  printer.End(a);
  printer.End(b);
  CHECK(out == "b/3: x\na: one and a half\na: two\nb/3: y\n");
}

TEST_CASE("farm address: the bulk port is the one above, or the one that is named") {
  CHECK(ParseEndpoints("host:7071")->bulk == "host:7072");
  CHECK(ParseEndpoints("[::1]:7071,9000")->bulk == "[::1]:9000");
  for (const char* wrong : {"", "host", "host:", ":7071", "host:0", "host:x", "host:7071,", "host:65535"})
    CHECK_FALSE(ParseEndpoints(wrong));
}

TEST_CASE("settings: NAME=VALUE, the value may hold anything") {
  const auto env = ParseSettings({"A=1", "B=x=y", "C="});
  REQUIRE(env);
  CHECK(*env == Env{{"A", "1"}, {"B", "x=y"}, {"C", ""}});
  CHECK_FALSE(ParseSettings({"=x"}));
  CHECK_FALSE(ParseSettings({"novalue"}));
}

}  // namespace furrow::cli
