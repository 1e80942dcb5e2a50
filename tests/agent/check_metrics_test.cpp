#include "agent/check_metrics.h"

#include <unistd.h>

#include <cstdio>
#include <string>
#include <vector>

#include <doctest/doctest.h>

using namespace furrow;

namespace {

struct Checked {
  int status = 0;
  std::string text;  // standard output
};

Checked Check(const std::vector<std::string>& arguments) {
  std::fflush(stdout);
  std::FILE* file = std::tmpfile();
  const int saved = ::dup(1);
  ::dup2(::fileno(file), 1);
  Checked checked;
  checked.status = CheckMetricsMain(arguments);
  std::fflush(stdout);
  ::dup2(saved, 1);
  ::close(saved);
  std::rewind(file);
  char buffer[4096];
  const std::size_t size = std::fread(buffer, 1, sizeof(buffer), file);
  checked.text.assign(buffer, size);
  std::fclose(file);
  return checked;
}

}  // namespace

TEST_CASE("check metrics: every comparison holds where it should, at the bound too") {
  struct Case {
    const char* rule;
    bool below, at, above;
  };
  for (const Case& one :
       {Case{"x < 0.5", true, false, false}, Case{"x <= 0.5", true, true, false}, Case{"x > 0.5", false, false, true},
        Case{"x >= 0.5", false, true, true}, Case{"x == 0.5", false, true, false}}) {
    CAPTURE(one.rule);
    const std::string rule = std::string("--rule=") + one.rule;
    CHECK((Check({"--have=x=0.25", rule}).status == 0) == one.below);
    CHECK((Check({"--have=x=0.5", rule}).status == 0) == one.at);
    CHECK((Check({"--have=x=0.75", rule}).status == 0) == one.above);
    CHECK(Check({"--have=x=nan", rule}).status == 1);
  }
}

TEST_CASE("check metrics: each rule is printed with its value, and one that fails fails all") {
  const Checked checked =
      Check({"--have=accuracy=0.79999", "--have=loss=0.5", "--rule=accuracy >= 0.8", "--rule=loss <= 1"});
  CHECK(checked.status == 1);
  CHECK(checked.text ==
        "check: accuracy >= 0.8: FAILED (accuracy = 0.79999)\n"
        "check: loss <= 1: ok (loss = 0.5)\n");
}

TEST_CASE("check metrics: a metric that nobody reported fails, with those that were") {
  Checked checked = Check({"--have=loss=0.5", "--have=examples=100", "--rule=accuracy >= 0.8"});
  CHECK(checked.status == 1);
  CHECK(checked.text ==
        "check: accuracy >= 0.8: FAILED: no needed job reported `accuracy` (reported: examples, loss)\n");
  checked = Check({"--have=loss=0.5", "--reported=examples, loss and 4000 more", "--rule=accuracy >= 0.8"});
  CHECK(checked.text.find("(reported: examples, loss and 4000 more)") != std::string::npos);
  checked = Check({"--rule=accuracy >= 0.8"});
  CHECK(checked.text.find("(reported: nothing)") != std::string::npos);
}

TEST_CASE("check metrics: a name may hold an equals sign") {
  CHECK(Check({"--have=a=b=2", "--rule=a=b == 2"}).status == 0);
}

TEST_CASE("check metrics: what cannot be read is a usage error") {
  for (const char* argument : {"--have=x", "--have=x=", "--have=x=1y", "--rule=x >= much",
                               "--rule=x >=", "--rule=x != 1", "--rule=", "stray"}) {
    CAPTURE(argument);
    CHECK(Check({"--have=x=1", argument}).status == 2);
  }
}
