// Runs a part of a test as a user for whom modes and owners of files count.
#pragma once

#include <doctest/doctest.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/temp_folder.h"

namespace furrow {

constexpr uid_t kNobody = 65534;

// Gives the folder itself to another user and runs `check` in a child as that user; for whoever is not root, as
// himself. Returns whether `check` returned true.
template <class Check>
bool AsNobody(const TempFolder& folder, Check check) {
  const bool root = ::geteuid() == 0;
  if (root) REQUIRE(::chown(folder.Path().c_str(), kNobody, kNobody) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    if (root && ::setuid(kNobody) != 0) ::_exit(2);
    ::_exit(check() ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace furrow
