#include "agent/runner/process_tree.h"

#include <sys/wait.h>
#include <unistd.h>

#include <doctest/doctest.h>

#include <atomic>
#include <csignal>
#include <optional>
#include <thread>

namespace furrow::runner {
namespace {

TEST_CASE("process tree: a process that ends while it is looked at is never taken for a stranger's") {
  // Who is asked whose a process was must say "it has ended", for a stranger's signals are obeyed.
  for (int i = 0; i < 3000; ++i) {
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) ::_exit(0);
    std::atomic<bool> reaps{false};
    std::thread reaper([&] {
      reaps = true;
      ::waitpid(child, nullptr, 0);
    });
    while (!reaps) std::this_thread::yield();
    std::optional<bool> below;
    do {
      below = IsBelow(child, ::getpid());
      if (below) CHECK(*below);
    } while (below && *below);
    reaper.join();
  }
}

TEST_CASE("process tree: whose signals may be a job's") {
  const pid_t ended = ::fork();
  REQUIRE(ended >= 0);
  if (ended == 0) ::_exit(0);
  ::waitpid(ended, nullptr, 0);
  const pid_t self = ::getpid();
  const uid_t user = ::getuid();
  CHECK(MayBeAJobs(ended, user, self, ::getppid(), /*busy=*/true));
  CHECK_FALSE(MayBeAJobs(ended, user, self, ::getppid(), /*busy=*/false));
  // What a parent that died leaves behind is its death signal, and a job cannot send as another user.
  CHECK_FALSE(MayBeAJobs(ended, user, self, /*parent=*/ended, /*busy=*/true));
  CHECK_FALSE(MayBeAJobs(ended, user + 1, self, ::getppid(), /*busy=*/true));
  CHECK_FALSE(MayBeAJobs(0, user, self, ::getppid(), /*busy=*/true));  // the kernel

  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) ::_exit(::pause());
  CHECK(MayBeAJobs(child, user, self, ::getppid(), /*busy=*/false));
  CHECK_FALSE(MayBeAJobs(self, user, child, ::getppid(), /*busy=*/true));
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
}

TEST_CASE("process tree: what is below a process, and what is not") {
  int gate[2];
  REQUIRE(::pipe(gate) == 0);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    char byte = 0;
    ::_exit(::read(gate[0], &byte, 1) < 0 ? 1 : 0);
  }
  CHECK(IsBelow(child, ::getpid()) == true);
  CHECK(IsBelow(::getpid(), child) == false);
  CHECK(IsBelow(1, ::getpid()) == false);
  ::close(gate[1]);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  CHECK(IsBelow(child, ::getpid()) == std::nullopt);
  ::close(gate[0]);
}

}  // namespace
}  // namespace furrow::runner
