#include "agent/uploads/uploader.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>

#include "agent/uploads/metrics.h"
#include "common/base/file_io.h"
#include "common/base/log.h"
#include "common/chunks/tree.h"
#include "common/chunks/tree_materialise.h"
#include "controller/bulk/trees.h"
#include "tests/support/data_farm.h"
#include "tests/support/temp_folder.h"

namespace furrow::test {
namespace {

namespace fs = std::filesystem;

constexpr AttemptRef kAttempt{JobId{1}, Epoch{1}};

struct Rig : DataFarm {
  Rig() {
    Grant(kAttempt);
    spool = (folder / "spool").string();
    metrics = (folder / "metrics").string();
    fs::create_directories(folder / "ws");
    StartUploader();
  }
  ~Rig() { uploader.reset(); }
  void StartUploader() {
    uploader = Uploader::Start(context, {Options(agent), folder / "state"}, [this](UploadEvent event) {
                 uploaded.Add(std::move(event));
               }).value();
  }
  void Write(const std::string& text) { std::ofstream(spool, std::ios::app) << text; }
  template <class T>
  T NextA() {
    const auto event = uploaded.Next();
    REQUIRE(event);
    const T* wanted = std::get_if<T>(&*event);
    if (wanted == nullptr) {
      if (const auto* failed = std::get_if<ArtifactsFailed>(&*event)) FAIL("failed: " << failed->message);
      FAIL("an event of another kind: " << event->index());
    }
    return *wanted;
  }
  // Waits until the controller has more than `bytes` of the log.
  void AwaitLog(std::uint64_t bytes) {
    Poller pause;
    for (int i = 0; i < 3000; ++i) {
      if (logs && logs->Length(run, kAttempt).value_or(0) > bytes) return;
      pause.Wait(std::chrono::milliseconds(10));
    }
    FAIL("the log did not come");
  }
  void CheckStreamed(const std::string& text) {
    const auto streamed = NextA<LogStreamed>();
    CHECK(streamed == LogStreamed{kAttempt, text.size(), HashOf(text)});
    CHECK(LogText(kAttempt) == text);
  }

  std::string spool, metrics;
  Events<UploadEvent> uploaded;
  std::unique_ptr<Uploader> uploader;
};

TEST_CASE("uploader: the log of a short job goes inline") {
  Rig rig;
  rig.Write("hello\n");
  rig.uploader->Post(Follow{kAttempt, rig.spool, "", 0, false});
  rig.uploader->Post(FinishLog{kAttempt, 6});
  CHECK(rig.NextA<LogInline>() == LogInline{kAttempt, "hello\n", HashOf("hello\n")});
  CHECK(rig.logs->Length(rig.run, kAttempt).value() == 0);
}

TEST_CASE("uploader: a job that printed nothing has an empty log") {
  Rig rig;
  rig.uploader->Post(Follow{kAttempt, rig.spool, "", 0, false});
  rig.uploader->Post(FinishLog{kAttempt, 0});
  CHECK(rig.NextA<LogInline>() == LogInline{kAttempt, "", HashOf("")});
}

TEST_CASE("uploader: reading a small log without a thread") {
  Rig rig;
  rig.Write("hello\n");
  CHECK(Uploader::ReadInline(kAttempt, rig.spool, 6).value().bytes == "hello\n");
  CHECK(Uploader::ReadInline(kAttempt, rig.spool, 7).error().code == Errc::kCorrupt);
  CHECK(Uploader::ReadInline(kAttempt, rig.spool, kSmallLogBytes + 1).error().code == Errc::kInvalid);
}

TEST_CASE("uploader: a running job's lines are at the controller before it ends") {
  Rig rig;
  rig.uploader->Post(Follow{kAttempt, rig.spool, "", 0, false});
  rig.Write("one\n");
  rig.AwaitLog(3);
  rig.Write("two\n");
  rig.AwaitLog(7);
  rig.uploader->Post(FinishLog{kAttempt, 8});
  rig.CheckStreamed("one\ntwo\n");
}

TEST_CASE("uploader: a log of many frames") {
  Rig rig;
  const std::string text = SomeText(40'000'000);
  rig.Write(text);
  rig.uploader->Post(Follow{kAttempt, rig.spool, "", 0, false});
  rig.uploader->Post(FinishLog{kAttempt, text.size()});
  rig.CheckStreamed(text);
}

TEST_CASE("uploader: a log is whole though the controller is killed again and again") {
  Rig rig;
  const std::string text = SomeText(30'000'000);
  rig.uploader->Post(Follow{kAttempt, rig.spool, "", 0, false});
  for (int i = 0; i < 3; ++i) {
    rig.Write(text.substr(i * 10'000'000u, 10'000'000));
    rig.AwaitLog(i * 10'000'000u + 1'000'000);
    rig.Stop();
    rig.Start();
  }
  rig.uploader->Post(FinishLog{kAttempt, text.size()});
  rig.CheckStreamed(text);
}

TEST_CASE("uploader: a log is whole though the agent is killed in the middle") {
  Rig rig;
  const std::string text = SomeText(20'000'000);
  rig.Write(text.substr(0, 15'000'000));
  rig.uploader->Post(Follow{kAttempt, rig.spool, "", 0, false});
  rig.AwaitLog(2'000'000);
  rig.uploader.reset();
  rig.Write(text.substr(15'000'000));
  rig.StartUploader();
  rig.uploader->Post(Follow{kAttempt, rig.spool, "", 0, true});
  rig.uploader->Post(FinishLog{kAttempt, text.size()});
  rig.CheckStreamed(text);
}

TEST_CASE("uploader: after a restart a small log that never travelled goes inline") {
  Rig rig;
  rig.Write("hello\n");
  rig.uploader->Post(Follow{kAttempt, rig.spool, "", 0, true});
  rig.uploader->Post(FinishLog{kAttempt, 6});
  CHECK(rig.NextA<LogInline>().bytes == "hello\n");
}

TEST_CASE("uploader: after a restart a small log that did travel is sealed") {
  Rig rig;
  rig.Write("one\n");
  rig.uploader->Post(Follow{kAttempt, rig.spool, "", 0, false});
  rig.AwaitLog(3);
  rig.uploader.reset();
  rig.Write("two\n");
  rig.StartUploader();
  rig.uploader->Post(Follow{kAttempt, rig.spool, "", 0, true});
  rig.uploader->Post(FinishLog{kAttempt, 8});
  rig.CheckStreamed("one\ntwo\n");
}

TEST_CASE("uploader: a log that was cut to its quota replaces what was sent of it") {
  Rig rig;
  const std::string text = SomeText(3'000'000);
  rig.Write(text);
  rig.uploader->Post(Follow{kAttempt, rig.spool, "", 0, false});
  rig.AwaitLog(text.size() - 1);
  fs::resize_file(rig.spool, 1'000'000);
  rig.Write("furrow: more than its quota\n");
  const std::string cut = text.substr(0, 1'000'000) + "furrow: more than its quota\n";
  rig.uploader->Post(FinishLog{kAttempt, cut.size()});
  rig.CheckStreamed(cut);
}

TEST_CASE("uploader: waits for a controller that is away") {
  Rig rig;
  rig.Stop();
  const std::string text = SomeText(100'000);
  rig.Write(text);
  rig.uploader->Post(Follow{kAttempt, rig.spool, "", 0, false});
  rig.uploader->Post(FinishLog{kAttempt, text.size()});
  CHECK_FALSE(rig.uploaded.Next(std::chrono::seconds(0)));
  rig.Start();
  rig.CheckStreamed(text);
}

TEST_CASE("uploader: two logs at once are both whole") {
  Rig rig;
  const AttemptRef second{JobId{2}, Epoch{1}};
  rig.Grant(second);
  const std::string text = SomeText(12'000'000), other = SomeText(9'000'000, 2);
  rig.Write(text);
  { std::ofstream((rig.folder / "other").string()) << other; }
  rig.uploader->Post(Follow{kAttempt, rig.spool, "", 0, false});
  rig.uploader->Post(Follow{second, (rig.folder / "other").string(), "", 0, false});
  rig.uploader->Post(FinishLog{kAttempt, text.size()});
  rig.uploader->Post(FinishLog{second, other.size()});
  rig.NextA<LogStreamed>();
  rig.NextA<LogStreamed>();
  CHECK(rig.LogText(kAttempt) == text);
  CHECK(rig.LogText(second) == other);
}

TEST_CASE("uploader: metrics come as they are written, bad lines are counted, then the log") {
  Rig rig;
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
  Rig rig;
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
      Rig rig;
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
    Rig rig;
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

TEST_CASE("metrics: the names of a job have an end, and the lines of one reading fit one message") {
  Rig rig;
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
  Rig rig;
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

TEST_CASE("metrics: a long file of faulty lines does not hold up its reader") {
  Rig rig;
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

TEST_CASE("uploader: artifacts become a tree on the controller") {
  Rig rig;
  fs::create_directories(rig.folder / "ws/out");
  { std::ofstream((rig.folder / "ws/model.pt").string()) << SomeText(3'000'000); }
  { std::ofstream((rig.folder / "ws/out/a.txt").string()) << "a"; }
  { std::ofstream((rig.folder / "ws/secret").string()) << "not asked for"; }
  const Collect collect{kAttempt, (rig.folder / "ws").string(), {"*.pt", "out"}};
  rig.uploader->Post(collect);
  const Hash name = rig.NextA<ArtifactsCommitted>().tree;
  const Tree tree = LoadTree(*rig.chunks, name).value();
  REQUIRE(tree.entries.size() == 2);
  CHECK(tree.entries[0].path == "model.pt");
  CHECK(tree.entries[1].path == "out/a.txt");
  CHECK(CommitTree(*rig.chunks, name).value().missing.empty());
  rig.uploader->Post(collect);  // unchanged: the same tree again
  CHECK(rig.NextA<ArtifactsCommitted>().tree == name);
}

TEST_CASE("uploader: artifacts and logs that a full controller refuses come when it has room") {
  Rig rig;
  const std::string log_file = (rig.folder / "agent.log").string();
  REQUIRE(log::Redirect(log_file));
  { std::ofstream((rig.folder / "ws/model.pt").string()) << SomeText(3'000'000); }
  rig.DiskIs(DiskHealth::kFull);
  rig.uploader->Post(Collect{kAttempt, (rig.folder / "ws").string(), {"*.pt"}});
  const std::string text = SomeText(300'000);
  rig.Write(text);
  rig.uploader->Post(Follow{kAttempt, rig.spool, "", 0, true});
  rig.uploader->Post(FinishLog{kAttempt, text.size()});
  Poller pause;
  const std::string said = "are tried again: no uploads are taken, for the controller's disk is full";
  bool refused = false;
  for (int i = 0; i < 3000 && !refused; ++i) {
    refused = ReadFile(log_file, 1 << 20).value().find(said) != std::string::npos;
    pause.Wait(std::chrono::milliseconds(10));
  }
  REQUIRE(log::Redirect(""));
  REQUIRE(refused);
  CHECK(rig.uploaded.Empty());
  rig.DiskIs(DiskHealth::kOk);
  bool artifacts = false;
  bool streamed = false;
  while (!artifacts || !streamed) {
    const auto event = rig.uploaded.Next();
    REQUIRE(event);
    if (const auto* committed = std::get_if<ArtifactsCommitted>(&*event)) {
      artifacts = true;
      CHECK(CommitTree(*rig.chunks, committed->tree).value().missing.empty());
    } else {
      streamed = true;
      CHECK(std::get<LogStreamed>(*event) == LogStreamed{kAttempt, text.size(), HashOf(text)});
    }
  }
  CHECK(rig.LogText(kAttempt) == text);
}

// Returns the paths of the tree that was stored, in order; none: nothing was.
std::vector<std::string> Kept(Rig& rig, const ArtifactsCommitted& event) {
  std::vector<std::string> paths;
  if (event.tree.IsZero()) return paths;
  CHECK(CommitTree(*rig.chunks, event.tree).value().missing.empty());
  const Tree tree = LoadTree(*rig.chunks, event.tree).value();
  for (const TreeEntry& entry : tree.entries) paths.push_back(entry.path);
  return paths;
}

TEST_CASE("uploader: of patterns that match nothing the others' files are kept, and they are named") {
  Rig rig;
  { std::ofstream((rig.folder / "ws/model.pt").string()) << "m"; }
  const std::string dir = (rig.folder / "ws").string();
  rig.uploader->Post(Collect{kAttempt, dir, {"*.pt", "report.html"}});
  ArtifactsCommitted event = rig.NextA<ArtifactsCommitted>();
  CHECK(Kept(rig, event) == std::vector<std::string>{"model.pt"});
  CHECK(event.lacking.find("`report.html`") != std::string::npos);
  rig.uploader->Post(Collect{kAttempt, dir, {"no", std::string(300, 'x'), "model.pt/below", "c", "d", "e", "f"}});
  event = rig.NextA<ArtifactsCommitted>();
  CHECK(Kept(rig, event).empty());
  CHECK(event.lacking.find("`no`") != std::string::npos);
  CHECK(event.lacking.find("and 2 more") != std::string::npos);
}

TEST_CASE("uploader: of files that cannot be kept the others are, and each is named with what to do") {
  Rig rig;
  const fs::path ws = rig.folder / "ws";
  { std::ofstream((ws / "model.pt").string()) << "m"; }
  fs::create_symlink("/etc/passwd", ws / "absolute");
  fs::create_symlink("../../outside", ws / "leaves");
  fs::create_symlink("model.pt", ws / "stays");
  fs::create_symlink("nothing", ws / "dangles");
  REQUIRE(::mkfifo((ws / "fifo").c_str(), 0600) == 0);
  FileHandle at(::open(ws.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  for (int i = 0; i < 230; ++i) {
    REQUIRE(::mkdirat(at.Get(), "deep", 0700) == 0);
    at = FileHandle(::openat(at.Get(), "deep", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }
  rig.uploader->Post(Collect{kAttempt, ws.string(), {"**"}});
  const ArtifactsCommitted event = rig.NextA<ArtifactsCommitted>();
  const std::vector<std::string> kept = Kept(rig, event);
  for (const char* path : {"model.pt", "stays", "dangles"})
    CHECK_MESSAGE(std::find(kept.begin(), kept.end(), path) != kept.end(), path);
  CHECK(kept.size() == 4);  // The fourth is the deepest folder that fits.
  for (const char* word : {"\"absolute\"", "\"leaves\"", "nested over 200 deep", "relative"})
    CHECK_MESSAGE(event.lacking.find(word) != std::string::npos, word);
  CHECK(event.note.find("\"fifo\"") != std::string::npos);
}

TEST_CASE("uploader: a workspace that is gone is no reason to run the job again") {
  Rig rig;
  fs::remove_all(rig.folder / "ws");
  rig.uploader->Post(Collect{kAttempt, (rig.folder / "ws").string(), {"*.pt"}});
  const auto failed = rig.NextA<ArtifactsFailed>();
  CHECK(failed.permanent);
  CHECK(failed.message.find("workspace") != std::string::npos);
}

TEST_CASE("uploader: a large sparse file costs neither disk nor much time, and is a sparse file again") {
  Rig rig;
  const fs::path ws = rig.folder / "ws";
  constexpr std::uint64_t kBytes = 4ull << 30;
  {
    const FileHandle file(::open((ws / "disk.img").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    REQUIRE(::ftruncate(file.Get(), kBytes) == 0);
    REQUIRE(::pwrite(file.Get(), "begin", 5, 0) == 5);
    REQUIRE(::pwrite(file.Get(), "middle", 6, kBytes / 2 + 12345) == 6);
  }
  rig.uploader->Post(Collect{kAttempt, ws.string(), {"disk.img"}});
  const ArtifactsCommitted event = rig.NextA<ArtifactsCommitted>();
  const Tree tree = LoadTree(*rig.chunks, event.tree).value();
  CHECK(tree.UniqueChunks().size() < 8);
  TempFolder to;
  REQUIRE(MaterialiseTree(tree, to.Fd(), *rig.chunks));
  struct stat status {};
  REQUIRE(::stat((to / "disk.img").c_str(), &status) == 0);
  CHECK(static_cast<std::uint64_t>(status.st_size) == kBytes);
  CHECK(status.st_blocks * 512 < 1 << 20);
  const FileHandle file(::open((to / "disk.img").c_str(), O_RDONLY | O_CLOEXEC));
  char text[6] = {};
  REQUIRE(::pread(file.Get(), text, 6, kBytes / 2 + 12345) == 6);
  CHECK(std::string_view(text, 6) == "middle");
}

TEST_CASE("uploader: chunks that the controller lost are sent again") {
  Rig rig;
  { std::ofstream((rig.folder / "ws/model.pt").string()) << SomeText(2'000'000); }
  const Collect collect{kAttempt, (rig.folder / "ws").string(), {"*.pt"}};
  rig.uploader->Post(collect);
  const Hash name = rig.NextA<ArtifactsCommitted>().tree;
  const Tree tree = LoadTree(*rig.chunks, name).value();
  REQUIRE(fs::remove(rig.chunks->PathOf(tree.entries[0].chunks[1].hash)));
  rig.uploader->Post(collect);
  CHECK(rig.NextA<ArtifactsCommitted>().tree == name);
  CHECK(CommitTree(*rig.chunks, name).value().missing.empty());
}

TEST_CASE("uploader: artifacts arrive though the controller is killed while they travel") {
  Rig rig;
  rig.Stop();
  for (int i = 0; i < 20; ++i)
    std::ofstream((rig.folder / ("ws/part" + std::to_string(i))).string()) << SomeText(1'000'000, i + 1);
  rig.uploader->Post(Collect{kAttempt, (rig.folder / "ws").string(), {"part*"}});
  rig.Start();
  Poller().Wait(std::chrono::milliseconds(30));
  rig.Stop();
  rig.Start();
  const Hash name = rig.NextA<ArtifactsCommitted>().tree;
  CHECK(CommitTree(*rig.chunks, name).value().missing.empty());
}

TEST_CASE("uploader: a cleared slot is as good as new, and nothing more is said about its attempt") {
  for (const std::size_t size : {100'000UL, 5'000'000UL}) {
    CAPTURE(size);
    Rig rig;
    const std::string text = SomeText(size);
    rig.Write(text);
    fs::create_directories(rig.folder / "ws/deep/er");
    { std::ofstream((rig.folder / "ws/deep/er/file").string()) << "x"; }
    rig.Stop();
    rig.uploader->Post(Follow{kAttempt, rig.spool, "", 0, false});
    rig.uploader->Post(FinishLog{kAttempt, text.size()});
    rig.uploader->Post(Collect{kAttempt, (rig.folder / "ws").string(), {"deep"}});
    rig.uploader->Post(Clear{kAttempt, (rig.folder / "ws").string(), rig.spool, (rig.folder / "none").string()});
    CHECK(rig.NextA<Cleared>().attempt == kAttempt);
    // A second attempt's answer shows that the first one's commands are done.
    rig.uploader->Post(Follow{{JobId{2}, Epoch{1}}, rig.spool, "", 0, false});
    rig.uploader->Post(FinishLog{{JobId{2}, Epoch{1}}, 0});
    CHECK(rig.NextA<LogInline>().attempt.job == JobId{2});
    rig.Start();
    CHECK(fs::is_empty(rig.folder / "ws"));
    CHECK(fs::file_size(rig.spool) == 0);
    CHECK(rig.uploaded.Empty());
  }
}

}  // namespace
}  // namespace furrow::test
