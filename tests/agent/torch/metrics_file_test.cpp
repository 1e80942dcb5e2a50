#include "agent/torch/metrics_file.h"

#include <doctest/doctest.h>

#include <iterator>

#include "tests/agent/torch/files.h"

using namespace furrow;
using namespace furrow::steps;

TEST_CASE("metrics: a line is one JSON object with the shortest exact numbers") {
  CHECK(MetricsLine().Add("step", std::int64_t{100}).Add("loss", 0.31).Text() == R"({"step":100,"loss":0.31})");
}

TEST_CASE("metrics: lines are there as soon as they are written, after what was there before") {
  const Folder folder;
  const std::string path = folder.Write("m", "{}\n");
  auto file = MetricsFile::Open(path);
  REQUIRE(file);
  CHECK(file->Write(MetricsLine().Add("a", std::int64_t{1})));
  std::ifstream in(path);
  CHECK(std::string(std::istreambuf_iterator<char>(in), {}) == "{}\n{\"a\":1}\n");
}

TEST_CASE("metrics: no path writes nowhere, a folder that is not there is an error") {
  CHECK(MetricsFile::Open("")->Write(MetricsLine().Add("a", 1.5)));
  CHECK(Has(MetricsFile::Open("/nowhere/m").error().message, "FURROW_METRICS"));
}

TEST_CASE("metrics: a full disk is an error") {
  auto file = MetricsFile::Open("/dev/full");
  REQUIRE(file);
  CHECK(Has(file->Write(MetricsLine().Add("a", 1.5)).error().message, "disk is full"));
}
