#include "common/base/log.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace furrow {
namespace {

// A folder of its own for a test; afterwards the log goes to stderr again.
class LogFolder {
 public:
  LogFolder() {
    char path[] = "/tmp/furrow-log-test-XXXXXX";
    REQUIRE(mkdtemp(path) != nullptr);
    path_ = path;
  }
  ~LogFolder() {
    CHECK(log::SetUp({"furrow", log::Level::kInfo, ""}));
    std::filesystem::remove_all(path_);
  }
  LogFolder(const LogFolder&) = delete;
  LogFolder& operator=(const LogFolder&) = delete;

  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

std::string Read(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

// `text` with 0 for every digit, and + for the sign of its zone.
std::string Shape(std::string text) {
  for (char& c : text) {
    if (c >= '0' && c <= '9') c = '0';
  }
  if (text.size() > 23 && text[23] == '-') text[23] = '+';
  return text;
}

// Points stderr at a file while it lives.
class StderrTo {
 public:
  explicit StderrTo(const std::string& path) : saved_(dup(STDERR_FILENO)) {
    const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    REQUIRE(fd >= 0);
    dup2(fd, STDERR_FILENO);
    close(fd);
  }
  ~StderrTo() {
    dup2(saved_, STDERR_FILENO);
    close(saved_);
    unsetenv("JOURNAL_STREAM");
  }
  StderrTo(const StderrTo&) = delete;
  StderrTo& operator=(const StderrTo&) = delete;

 private:
  int saved_;
};

TEST_CASE("log: a line has time, level, program and words") {
  LogFolder folder;
  REQUIRE(log::SetUp({"furrow-agent", log::Level::kInfo, folder / "sub/agent.log"}));

  log::Warning("agent {} has {} GPUs", "a1", 2);

  std::string line = Read(folder / "sub/agent.log");
  const std::string time = line.substr(0, line.find(' '));
  line.erase(0, time.size());
  CHECK(line == " warning furrow-agent: agent a1 has 2 GPUs\n");
  CHECK(Shape(time) == "0000-00-00T00:00:00.000+00:00");
}

TEST_CASE("log: lines below the level are dropped, and the level changes while running") {
  LogFolder folder;
  REQUIRE(log::SetUp({"p", log::Level::kWarning, folder / "log"}));

  log::Info("one");
  log::SetLevel(log::Level::kDebug);
  log::Debug("two");
  log::SetLevel(log::Level::kError);
  log::Warning("three");
  log::Error("four");

  const std::string text = Read(folder / "log");
  CHECK(text.find("one") == std::string::npos);
  CHECK(text.find("two") != std::string::npos);
  CHECK(text.find("three") == std::string::npos);
  CHECK(text.find("four") != std::string::npos);
  CHECK_FALSE(log::Enabled(log::Level::kWarning));
}

TEST_CASE("log: text from outside cannot forge a line") {
  LogFolder folder;
  REQUIRE(log::SetUp({"p", log::Level::kInfo, folder / "log"}));

  log::Info("job says {}", "a\n2026-01-01 error p: forged\x1b[31m\r{}\u202e\xff gr\u00fc\u00df");

  const std::string text = Read(folder / "log");
  CHECK(text.find("job says a\n    2026-01-01 error p: forged\\x1b[31m\\x0d{}\\xe2\\x80\\xae\\xff gr\u00fc\u00df\n") !=
        std::string::npos);
}

TEST_CASE("log: a file is appended to and not readable by everybody") {
  LogFolder folder;
  for (const char* word : {"first", "second"}) {
    REQUIRE(log::SetUp({"p", log::Level::kInfo, folder / "log"}));
    log::Info("{}", word);
  }

  const std::string text = Read(folder / "log");
  CHECK(text.find("first") < text.find("second"));
  struct stat status {};
  REQUIRE(stat((folder / "log").c_str(), &status) == 0);
  CHECK((status.st_mode & 007) == 0);
}

TEST_CASE("log: a file that cannot be opened is named, and the log stays where it was") {
  LogFolder folder;
  REQUIRE(log::SetUp({"p", log::Level::kInfo, folder / "log"}));

  const Status status = log::SetUp({"p", log::Level::kInfo, folder / "log/below-a-file"});

  REQUIRE_FALSE(status);
  CHECK(status.error().message.find(folder / "log") != std::string::npos);
  log::Info("still here");
  CHECK(Read(folder / "log").find("still here") != std::string::npos);
}

TEST_CASE("log: a file that was renamed is opened anew, another one is gone over to") {
  LogFolder folder;
  REQUIRE(log::SetUp({"p", log::Level::kInfo, folder / "log"}));
  log::Info("before");
  std::filesystem::rename(folder / "log", folder / "log.1");
  log::Info("between");

  REQUIRE(log::Redirect(folder / "log"));
  log::Info("after");
  REQUIRE(log::Redirect(folder / "other"));
  log::Info("elsewhere");

  CHECK(Shape(Read(folder / "log.1")).find("before\n") != std::string::npos);
  CHECK(Read(folder / "log.1").find("between\n") != std::string::npos);
  CHECK(Read(folder / "log").find(" info    p: after\n") != std::string::npos);
  CHECK(Read(folder / "log").find("between") == std::string::npos);
  CHECK(Read(folder / "other").find(" info    p: elsewhere\n") != std::string::npos);
}

TEST_CASE("log: going over to a file that cannot be opened changes nothing") {
  LogFolder folder;
  REQUIRE(log::SetUp({"p", log::Level::kInfo, folder / "log"}));

  CHECK_FALSE(log::Redirect(folder / "log/below-a-file"));

  log::Info("still here");
  CHECK(Read(folder / "log").find("still here") != std::string::npos);
}

TEST_CASE("log: under journald a line is a priority and words") {
  LogFolder folder;
  {
    StderrTo file(folder / "journal");
    struct stat status {};
    REQUIRE(fstat(STDERR_FILENO, &status) == 0);
    setenv("JOURNAL_STREAM", (std::to_string(status.st_dev) + ":" + std::to_string(status.st_ino)).c_str(), 1);
    REQUIRE(log::SetUp({"furrow-agent", log::Level::kDebug, ""}));
    log::Debug("d");
    log::Info("i");
    log::Warning("w");
    log::Error("e");
  }
  CHECK(Read(folder / "journal") == "<7>d\n<6>i\n<4>w\n<3>e\n");
}

TEST_CASE("log: an inherited JOURNAL_STREAM of another stream does not count") {
  LogFolder folder;
  {
    StderrTo file(folder / "stderr");
    setenv("JOURNAL_STREAM", "1:2", 1);
    REQUIRE(log::SetUp({"furrow-agent", log::Level::kInfo, ""}));
    log::Info("i");
  }
  CHECK(Read(folder / "stderr").find("info    furrow-agent: i\n") != std::string::npos);
}

TEST_CASE("log: the same warning is written five times, one about a subject once, and then their number") {
  LogFolder folder;
  REQUIRE(log::SetUp({"p", log::Level::kInfo, folder / "log"}));
  for (int i = 0; i < 500; ++i) log::Warning("the controller is {}", "away");
  for (int i = 0; i < 500; ++i) log::WarningOf("gpu-7", "gpu-7 sends rubbish at byte {}", i);
  for (int i = 0; i < 7; ++i) log::Info("connected");
  const auto count = [&](const std::string& words) {
    const std::string text = Read(folder / "log");
    int found = 0;
    for (auto at = text.find(words); at != std::string::npos; at = text.find(words, at + 1)) ++found;
    return found;
  };
  CHECK(count("away\n") == 5);
  CHECK(count("gpu-7 sends rubbish at byte 0\n") == 1);
  CHECK(count("rubbish") == 1);
  CHECK(count("connected\n") == 7);
  log::TellKeptBack(/*all=*/true);
  CHECK(count("away (this happened 495 more times)\n") == 1);
  CHECK(count("byte 0 (this happened 499 more times)\n") == 1);
}

TEST_CASE("log: levels are read by name") {
  CHECK(*log::ParseLevel("warning") == log::Level::kWarning);
  CHECK(log::ParseLevel("loud").error().message.find("debug, info, warning or error") != std::string::npos);
}

}  // namespace
}  // namespace furrow
