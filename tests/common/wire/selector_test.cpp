#include "common/wire/selector.h"
#include "schemas/client.h"

#include <doctest/doctest.h>

#include <memory>

namespace furrow {

TEST_CASE("messages_client: a selector comes back from its text") {
  const std::vector<std::pair<const char*, Selector>> cases{
      {"fashion#42", {"fashion", 42, "", {}}},
      {"fashion#42/test", {"fashion", 42, "test", {}}},
      {"fashion#42/test/3", {"fashion", 42, "test", 3}},
      {"fashion", {"fashion", 0, "", {}}},
      {"my.pipe_line-2/test/0", {"my.pipe_line-2", 0, "test", 0}},
      {"vision/fashion#42", {"fashion", 42, "", {}, "vision"}},
      {"vision/fashion#42/test/3", {"fashion", 42, "test", 3, "vision"}},
      {"a#18446744073709551615", {"a", UINT64_MAX, "", {}}},
  };
  for (const auto& one : cases) {
    CAPTURE(one.first);
    CHECK(ParseSelector(one.first).value() == one.second);
    CHECK(FormatSelector(one.second) == one.first);
  }
}

TEST_CASE("messages_client: a text that selects nothing is refused with the forms that would") {
  for (const char* text : {"", "#42", "fashion#", "fashion#0", "fashion#x", "fashion#-1", "fashion#1/", "fashion#1/a/",
                           "fashion#1/a/b", "fashion#1/a/3/4", "fashion#1/a b", "fas hion", "/fashion#3", "a/b/c#3",
                           "a b/c#3", "a/#3", "a#18446744073709551616", "a#1/b/4294967296", "fashion#1#2"}) {
    CAPTURE(text);
    const auto selector = ParseSelector(text);
    REQUIRE_FALSE(selector);
    CHECK(selector.error().code == Errc::kInvalid);
    CHECK(selector.error().message.find("PIPELINE#NUMBER/JOB") != std::string::npos);
  }
  CHECK_FALSE(ParseSelector(std::string(65, 'a')));
}

TEST_CASE("messages_client: states have the names that people read") {
  CHECK(NameOf(JobState::kBlocked) == std::string("blocked"));
  CHECK(NameOf(JobState::kSkipped) == std::string("skipped"));
  CHECK(NameOf(RunState::kRunning) == std::string("running"));
  CHECK(NameOf(RunState::kCancelled) == std::string("cancelled"));
}

TEST_CASE("messages_agent: assignments are compared by what their specs say") {
  Assign a;
  a.spec = std::make_shared<const JobSpec>();
  Assign b = a;
  CHECK(a == b);
  b.spec = std::make_shared<const JobSpec>();
  CHECK(a == b);
  JobSpec other;
  other.name = "x";
  b.spec = std::make_shared<const JobSpec>(other);
  CHECK_FALSE(a == b);
  b.spec = nullptr;
  CHECK_FALSE(a == b);
  b = a;
  b.log_quota_bytes = 1;
  CHECK_FALSE(a == b);
}

}  // namespace furrow
