#include "common/base/process.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <string>

#include "common/base/file_io.h"
#include "common/base/run_program.h"

using namespace furrow;

namespace {

// What a shell script prints when it is started so.
std::string OutputOf(const std::string& script, SpawnOptions options = {}) {
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  const FileHandle from(ends[0]);
  FileHandle to(ends[1]);
  options.descriptors.emplace_back(to.Get(), STDOUT_FILENO);
  const Result<pid_t> child = Spawn({"sh", "-c", script}, options);
  REQUIRE(child.has_value());
  to.Close();
  std::string out;
  char part[1024];
  for (ssize_t got; (got = ::read(from.Get(), part, sizeof(part))) > 0;)
    out.append(part, static_cast<std::size_t>(got));
  CHECK(Reap(*child) == 0);
  return out;
}

}  // namespace

TEST_CASE("process: a program that is not there is not found, and one that cannot be run says why") {
  CHECK(Spawn({"/nowhere/furrow-none"}).error().code == Errc::kNotFound);
  CHECK(Spawn({"furrow-none"}).error().code == Errc::kNotFound);
  CHECK(Spawn({"sh"}, {.folder = "/nowhere"}).error().message == "there is no folder /nowhere");
  const auto refused = Spawn({"/etc/passwd"});
  CHECK(refused.error().message.find("cannot start /etc/passwd: Permission denied") != std::string::npos);
}

TEST_CASE("process: folder, environment, descriptors and group are as they were asked for") {
  CHECK(OutputOf("pwd", {.folder = "/usr"}) == "/usr\n");
  CHECK(OutputOf("echo $A-$HOME", {.environment = std::vector<std::string>{"A=b", "PATH=/bin:/usr/bin"}}) == "b-\n");
  CHECK(OutputOf("wc -c", {.descriptors = {{SpawnOptions::kNull, STDIN_FILENO}}}) == "0\n");
  const std::string group = "[ $(ps -o pgid= -p $$) = $$ ] && echo own || echo ours";
  CHECK(OutputOf(group) == "ours\n");
  CHECK(OutputOf(group, {.group = ProcessGroup::kOwn}) == "own\n");
  CHECK(OutputOf("[ $(ps -o sid= -p $$) = $$ ] && echo session", {.group = ProcessGroup::kSession}) == "session\n");
}

TEST_CASE("process: a child blocks no signal, and ignores what nohup ignores but not what we do for ourselves") {
  sigset_t blocked, before;
  ::sigemptyset(&blocked);
  ::sigaddset(&blocked, SIGTERM);
  ::pthread_sigmask(SIG_BLOCK, &blocked, &before);
  const auto ignored = ::signal(SIGPIPE, SIG_IGN);
  const auto mask = [](const std::string& field) {
    return std::stoull(OutputOf("sed -n 's/^" + field + ":.//p' /proc/self/status"), nullptr, 16);
  };
  constexpr std::uint64_t kOurs = 0x7fffffff;  // glibc keeps 32 and 33 for itself
  CHECK((mask("SigBlk") & kOurs) == 0);
  CHECK((mask("SigIgn") & kOurs) == 0);
  const auto hangup = ::signal(SIGHUP, SIG_IGN);
  CHECK((mask("SigIgn") & kOurs) == 1u << (SIGHUP - 1));
  ::signal(SIGHUP, hangup);
  ::signal(SIGPIPE, ignored);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

TEST_CASE("process: how a child ended is said in words") {
  CHECK(FormatEnd(Reap(Spawn({"sh", "-c", "exit 3"}).value())) == "ended with status 3");
  CHECK(FormatEnd(Reap(Spawn({"sh", "-c", "kill -9 $$"}).value())) == "was ended by signal 9");
  CHECK(RunProgram({"sh", "-c", "echo out; echo err >&2; exit 4"}).value().err == "err\n");
}
