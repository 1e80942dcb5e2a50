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
