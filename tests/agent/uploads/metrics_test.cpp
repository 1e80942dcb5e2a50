#include "agent/uploads/metrics.h"

#include <sys/stat.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

#include "tests/agent/uploads/upload_rig.h"

namespace furrow::test {
namespace {

namespace fs = std::filesystem;

TEST_CASE("uploader: metrics come as they are written, bad lines are counted, then the log") {
  UploadRig rig;
  rig.uploader->Post(Follow{kAttempt, rig.spool, rig.metrics, 0, false});
  { std::ofstream(rig.metrics) << "{\"step\": 1, \"loss\": 0.5}\nnonsense\n{\"step\": 2, \"lo"; }
  const auto first = rig.NextA<MetricsRead>();
  CHECK(first.first == 0);
  CHECK(first.left_out ==
        "1 line of FURROW_METRICS could not be kept, or not whole: line 2 is no JSON object: nonsense");
  REQUIRE(first.lines.size() == 1);
  CHECK(first.lines[0].step == 1);
  CHECK(first.lines[0].values == std::vector<Metric>{{"loss", 0.5}});
  { std::ofstream(rig.metrics, std::ios::app) << "ss\": 0.25}\n{\"loss\": 0.125}"; }
  rig.uploader->Post(FinishLog{kAttempt, 0});
  std::vector<MetricLine> rest;
  for (auto event = rig.uploaded.Next(); event; event = rig.uploaded.Next()) {
    if (std::holds_alternative<LogInline>(*event)) break;
    const auto& read = std::get<MetricsRead>(*event);
    CHECK(read.first == 1 + rest.size());
    rest.insert(rest.end(), read.lines.begin(), read.lines.end());
  }
  REQUIRE(rest.size() == 2);
  CHECK(rest[0].values[0].value == 0.25);
  CHECK(rest[1].step == -1);
}

TEST_CASE("uploader: metrics that an earlier process reported are passed over") {
  UploadRig rig;
  { std::ofstream(rig.metrics) << "{\"a\": 1}\n\nbad\n{\"a\": 2}\n{\"a\": 3}\n"; }
  rig.uploader->Post(Follow{kAttempt, rig.spool, rig.metrics, 2, false});
  rig.uploader->Post(FinishLog{kAttempt, 0});
  const auto read = rig.NextA<MetricsRead>();
  CHECK(read.first == 2);
  REQUIRE(read.lines.size() == 1);
  CHECK(read.lines[0].values[0].value == 3);
}

TEST_CASE("metrics: only objects with numbers count") {
  CHECK(ParseMetricLine(R"({"step": 3, "epoch": 1, "name": "x", "done": true, "loss": 1e-3})").line.values ==
        std::vector<Metric>{{"epoch", 1}, {"loss", 1e-3}});
  for (const char* bad : {"", "[1]", "3", R"({"step": 3})", R"({"loss": "low"})", R"({"loss": 1)", "{\"a\": 1e999}"})
    CHECK(ParseMetricLine(bad).line.values.empty());
}

TEST_CASE("metrics: a diverged value is a value, however the job's language spells it") {
  const auto line =
      ParseMetricLine(R"({"step": 2, "loss": NaN, "up": Infinity, "down":-inf, "said": "nan", "in": "a NaN"})").line;
  REQUIRE(line.values.size() == 4);
  std::map<std::string, double> values;
  for (const Metric& metric : line.values) values[metric.name] = metric.value;
  CHECK(std::isnan(values.at("loss")));
  CHECK(values.at("up") == HUGE_VAL);
  CHECK(values.at("down") == -HUGE_VAL);
  CHECK(std::isnan(values.at("said")));
  CHECK(ParseMetricLine(R"({"loss": NaN)").line.values.empty());
  CHECK(ParseMetricLine(R"({"loss": None})").line.values.empty());
}

TEST_CASE("metrics: what cannot be kept is left out, and said") {
  struct Case {
    std::string line;
    std::size_t kept;
    const char* said;
  };
  std::string wide = "{", many = "{";
  for (std::size_t i = 0; i <= kMaxMetricsPerLine; ++i)
    wide += (i > 0 ? "," : "") + ("\"w" + std::to_string(i)) + "\":1";
  for (const Case& one :
       {Case{std::string(2 << 20, 'x'), 0, "line 1 is longer than 1 MiB"},
        Case{"nonsense", 0, "line 1 is no JSON object: nonsense"},
        Case{R"({"loss": 1e400, "c": 2})", 0, "line 1 is no JSON object that can be kept: it has a number that is too"},
        Case{R"({"c": 1, "c": 2})", 1, "line 1 has `c` twice, of which the last one is kept"},
        Case{R"({"c": 1, "in": {"d": 2}})", 1, "line 1 has a value that is no number, of `in`"},
        Case{R"({"c": 1, "in": "train"})", 1, "line 1 has a value that is no number, of `in`"},
        Case{R"({"c": 1, "in": null})", 1, "line 1 has a value that is no number, of `in`"},
        Case{R"({"c": 1, "step": -3})", 1, "line 1 has a step that is no whole number"},
        Case{R"({"c": 1, "step": 1.5})", 1, "line 1 has a step that is no whole number"},
        Case{R"({"c": 1, "step": NaN})", 1, "line 1 has a step that is no whole number"},
        Case{R"({"c": 1, "step": "three"})", 1, "line 1 has a value that is no number, of `step`"},
        Case{"[1, 2]", 0, "line 1 is no JSON object but of type array: [1, 2]"},
        Case{"0.5", 0, "line 1 is no JSON object but of type number"},
        Case{"loss=0.5", 0, "line 1 is no JSON object"},
        Case{R"({"c": 1,})", 0, "line 1 is no JSON object"},
        Case{R"({"c": 1} {"c": 2})", 0, "line 1 is no JSON object"},
        Case{"{\"c\": 1, \x1b[2J", 0, "line 1 is no JSON object: {\"c\": 1,  [2J"},
        Case{R"({"step": 1})", 0, "line 1 has no number in it"},
        Case{"{\"a\\u0000b\": 1, \"c\": 2}", 1, "line 1 has a name that is not"},
        Case{"{\"" + std::string(257, 'n') + "\": 1, \"c\": 2}", 1, "line 1 has a name that is not"},
        Case{"{\"\xff\": 1}", 0, "line 1 is no JSON object"},
        Case{wide + "}", kMaxMetricsPerLine, "line 1 has more than 4096 values"}}) {
    for (const bool ended : {true, false}) {
      CAPTURE(one.said);
      CAPTURE(ended);
      UploadRig rig;
      { std::ofstream(rig.metrics) << one.line << (ended ? "\n" : ""); }
      MetricsReader reader(rig.metrics, 0);
      const std::vector<MetricLine> lines = reader.Read(true);
      CHECK(lines.size() == (one.kept > 0 ? 1 : 0));
      if (!lines.empty()) CHECK(lines[0].values.size() == one.kept);
      CHECK(reader.LeftOut().find(one.said) != std::string::npos);
    }
  }
}

TEST_CASE("metrics: generated lines are each counted or reported") {
  std::mt19937 random(7);
  const std::vector<std::string> parts = {
      "{", "}", "\"a\"", ":",        "1",  "NaN", ",",     "\"step\"", "-1",           "1e400",
      "[", "]", "null",  "\"\xff\"", "\r", " ",   "\"b\"", "2.5",      "\xEF\xBB\xBF", "{\"c\": 1}"};
  for (int i = 0; i < 20'000; ++i) {
    std::string line;
    for (std::size_t n = 1 + random() % 9; n > 0; --n) line += parts[random() % parts.size()];
    CAPTURE(line);
    const ParsedMetricLine parsed = ParseMetricLine(line);
    CHECK((!parsed.line.values.empty() || !parsed.wrong.empty()));
  }
  for (const char* fine :
       {"{\"c\": 1}\r", "\xEF\xBB\xBF{\"c\": 1}", R"({"step": 100.0, "c": "inf"})", R"( {"c":-0} )"}) {
    CAPTURE(fine);
    CHECK(ParseMetricLine(fine).line.values.size() == 1);
    CHECK(ParseMetricLine(fine).wrong.empty());
  }
}

TEST_CASE("metrics: of a file that is written anew the new lines count, whichever way it was") {
  const auto write = [](const std::string& file, const std::string& text) { std::ofstream(file) << text; };
  const auto replace = [&](const std::string& file, const std::string& text) {
    write(file + ".new", text);
    fs::rename(file + ".new", file);
  };
  const auto remove = [&](const std::string& file, const std::string& text) {
    fs::remove(file);
    write(file, text);
  };
  const auto values = [](const std::vector<MetricLine>& lines) {
    std::vector<double> all;
    for (const MetricLine& line : lines) all.push_back(line.values.at(0).value);
    return all;
  };
  for (const std::function<void(const std::string&, const std::string&)>& way :
       std::vector<std::function<void(const std::string&, const std::string&)>>{write, replace, remove}) {
    UploadRig rig;
    MetricsReader reader(rig.metrics, 0);
    write(rig.metrics, "{\"a\": 1}\n");
    CHECK(values(reader.Read(false)) == std::vector<double>{1});
    way(rig.metrics, "{\"a\": 2}\n");  // of the same size
    CHECK(values(reader.Read(false)) == std::vector<double>{2});
    CHECK(reader.first() == 1);
    way(rig.metrics, "{\"a\": 2}\n{\"a\": 3}\n");  // what it had, and more
    CHECK(values(reader.Read(false)) == std::vector<double>{3});
    way(rig.metrics, "{\"a\": 2}\n{\"a\": 4}\n{\"a\": 5}\n");  // a line changed
    CHECK(values(reader.Read(false)) == std::vector<double>{4, 5});
    way(rig.metrics, "");
    CHECK(reader.Read(false).empty());
    way(rig.metrics, "{\"a\": 6}");  // shorter, and without an end
    CHECK(values(reader.Read(true)) == std::vector<double>{6});
    CHECK(reader.first() == 5);
    CHECK(reader.LeftOut().empty());

    MetricsReader later(rig.metrics, 6);  // of the next process of the agent
    way(rig.metrics, "{\"a\": 7}\n");
    CHECK(values(later.Read(true)) == std::vector<double>{7});
    CHECK(later.first() == 6);
  }
}

TEST_CASE("metrics: at the end the newest values are those of the file, however it was cut back") {
  struct Case {
    const char *before, *after;
    std::vector<std::pair<std::string, double>> newest;
  };
  for (const Case& one : std::vector<Case>{
           {"{\"a\": 1}\n{\"a\": 2}\n", "{\"a\": 1}\n", {{"a", 1}}},
           {"{\"a\": 1}\n{\"a\": 2}\n{\"a\": 3}\n", "{\"a\": 1}\n{\"a\": 2}", {{"a", 2}}},
           {"{\"a\": 1, \"b\": 5}\n{\"a\": 2}\n{\"b\": 6}\n", "{\"a\": 1, \"b\": 5}\n", {{"a", 1}, {"b", 5}}},
           {"{\"a\": 1}\n{\"b\": 2}\n{\"a\": 3}\n", "{\"a\": 1}\n{\"b\": 9}\n", {{"a", 1}, {"b", 9}}},
           {"{\"a\": 1}\n{\"a\": 2}\n", "{\"a\": 1}\n{\"a\": 2}\n", {{"a", 2}}},
           {"{\"a\": NaN}\n{\"a\": 2}\n", "{\"a\": NaN}\n", {{"a", NAN}}},
           {"{\"a\": 1}\n{\"a\": 2}\n", "", {{"a", 2}}},
       }) {
    CAPTURE(one.before);
    CAPTURE(one.after);
    UploadRig rig;
    MetricsReader reader(rig.metrics, 0);
    std::map<std::string, double> newest;
    const auto read = [&](bool last) {
      std::size_t lines = 0;
      do {
        for (const MetricLine& line : reader.Read(last)) {
          ++lines;
          for (const Metric& value : line.values) newest[value.name] = value.value;
        }
      } while (reader.more());
      return lines;
    };
    std::ofstream(rig.metrics) << one.before;
    read(false);
    std::ofstream(rig.metrics) << one.after;
    read(false);
    read(true);
    for (const auto& [name, value] : one.newest)
      CHECK((newest.at(name) == value || (std::isnan(value) && std::isnan(newest.at(name)))));
    CHECK(read(true) == 0);
  }
}

TEST_CASE("metrics: what is no file is not read, and said") {
  const std::pair<std::function<void(const std::string&)>, const char*> cases[] = {
      {[](const std::string& path) { fs::create_symlink(path + ".own", path); }, "is a link"},
      {[](const std::string& path) { fs::create_directory(path); }, "is a folder"},
      {[](const std::string& path) { REQUIRE(::mkfifo(path.c_str(), 0600) == 0); }, "is a pipe"},
  };
  for (const auto& [make, words] : cases) {
    UploadRig rig;
    std::ofstream(rig.metrics + ".own") << "{\"a\": 1}\n";
    make(rig.metrics);
    MetricsReader reader(rig.metrics, 0);
    CHECK(reader.Read(true).empty());
    CHECK(reader.LeftOut().starts_with(std::string("FURROW_METRICS ") + words));
    fs::remove_all(rig.metrics);
    std::ofstream(rig.metrics) << "{\"a\": 1}\n";
    CHECK(reader.Read(true).size() == 1);
    CHECK(reader.LeftOut().empty());
  }
}

TEST_CASE("metrics: the names of a job have an end, and the lines of one reading fit one message") {
  UploadRig rig;
  {
    std::ofstream file(rig.metrics);
    for (std::size_t line = 0; line < 11; ++line) {
      file << "{";
      for (std::size_t i = 0; i < 1000; ++i)
        file << (i > 0 ? "," : "") << "\"" << std::string(200, 'n') << line * 1000 + i << "\":" << i;
      file << "}\n";
    }
  }
  MetricsReader reader(rig.metrics, 0);
  std::set<std::string> names;
  bool more = true;
  for (int reads = 0; more; ++reads) {
    REQUIRE(reads < 12);
    MetricsReport report;
    report.lines = reader.Read(true);
    more = reader.more();
    CHECK(Encode(AgentMessage(report)).has_value());
    for (const MetricLine& line : report.lines)
      for (const Metric& metric : line.values) names.insert(metric.name);
  }
  CHECK(names.size() == kMaxJobMetrics);
  CHECK(reader.LeftOut() ==
        "1 line of FURROW_METRICS could not be kept, or not whole: line 11 has the 10001th name; a "
        "job may have 10000 metrics: {\"" +
            std::string(78, 'n') + "…");
}

TEST_CASE("metrics: what is more than an attempt may report is not read, and said") {
  UploadRig rig;
  std::string wide = "{";
  for (std::size_t i = 0; i < 3000; ++i)
    wide += (i > 0 ? ",\"" : "\"") + std::string(200, 'n') + std::to_string(i) + "\":1";
  wide += "}\n";
  const std::size_t bytes_fit = kMaxAttemptMetricBytes / WireBytes(ParseMetricLine(wide).line);
  struct Case {
    std::string line;
    std::size_t fit;
    std::uint64_t reported;  // by an earlier process of the agent: they count, too
  };
  for (const Case& one : {Case{"{\"a\":1}\n", kMaxAttemptMetricLines, 999'000}, Case{wide, bytes_fit, 3}}) {
    {
      std::ofstream file(rig.metrics);
      file << "nonsense\n";
      for (std::size_t i = 0; i < one.fit + 2; ++i) file << one.line;
      file << "{\"a\":1}\n";
    }
    MetricsReader reader(rig.metrics, one.reported);
    std::size_t lines = 0;
    do {
      lines += reader.Read(true).size();
    } while (reader.more());
    CHECK(lines == one.fit - one.reported);
    CHECK(reader.LeftOut() ==
          "1 line of FURROW_METRICS could not be kept, or not whole: line 1 is no JSON object: nonsense; "
          "FURROW_METRICS is not "
          "kept from line " +
              std::to_string(one.fit + 2) + " on: an attempt may report 1000000 lines and 128 MiB of metrics");
    CHECK(reader.Read(true).empty());
  }
}

TEST_CASE("metrics: holes are not read, however large, and what is around them counts") {
  UploadRig rig;
  { std::ofstream(rig.metrics) << "{\"a\": 1}\n"; }
  for (const std::uintmax_t size : {std::uintmax_t{300} << 30, std::uintmax_t{600} << 30}) {
    std::filesystem::resize_file(rig.metrics, size);
    std::ofstream(rig.metrics, std::ios::app) << "\n{\"a\": 2}\n";
  }
  MetricsReader reader(rig.metrics, 0);
  std::vector<double> values;
  for (int i = 0; i < 10; ++i)
    for (const MetricLine& line : reader.Read(i == 9)) values.push_back(line.values.at(0).value);
  CHECK(values == std::vector<double>{1, 2, 2});
  CHECK(reader.LeftOut().find("2 lines of FURROW_METRICS could not be kept") != std::string::npos);
  std::filesystem::resize_file(rig.metrics, std::uintmax_t{900} << 30);
  for (int i = 0; i < 10; ++i) CHECK(reader.Read(i == 9).empty());
}

TEST_CASE("metrics: a long file of faulty lines does not hold up its reader") {
  UploadRig rig;
  {
    std::ofstream file(rig.metrics);
    const std::string fault = std::string(1000, 'x') + "\n";
    for (int i = 0; i < 20'000; ++i) file << fault;
    file << "{\"a\":1}\n";
  }
  MetricsReader reader(rig.metrics, 0);
  CHECK(reader.Read(true).empty());
  CHECK(reader.more());
  CHECK(reader.Read(true).size() == 1);
  CHECK_FALSE(reader.more());
}

}  // namespace
}  // namespace furrow::test
