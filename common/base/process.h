// Starts programs: the one place that calls posix_spawn, but for furrow-runner's jobs, which need more, and the daemons
// of `furrow up`, which are to die with it.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/base/error.h"

namespace furrow {

enum class ProcessGroup {
  kOurs,     // Ctrl-C of our terminal reaches the process, too.
  kOwn,      // A signal to -pid reaches the process and all that it starts.
  kSession,  // The process has no terminal and outlives ours.
};

struct SpawnOptions {
  std::string folder = {};                                   // to run in; empty: ours
  std::optional<std::vector<std::string>> environment = {};  // "NAME=value"; absent: ours
  // Our descriptors and what the child has them as; kNull is /dev/null. Every other one closes at exec if it is
  // O_CLOEXEC.
  std::vector<std::pair<int, int>> descriptors = {};
  ProcessGroup group = ProcessGroup::kOurs;

  static constexpr int kNull = -1;
};

// Starts argv[0], searched in PATH unless it has a slash, and returns the process, which the caller has to reap. The
// child blocks no signal, and those that our programs ignore for themselves have their default; what nohup ignores, the
// child ignores, too. kNotFound: there is no such program, or no such folder. Any other error: the program cannot be
// started, for the reason that errno gives.
Result<pid_t> Spawn(const std::vector<std::string>& argv, const SpawnOptions& options = {});

// Waits for the end of a child and returns its status as waitpid has it.
int Reap(pid_t child);

// How a process ended, of a status as waitpid has it: "was ended by signal 9", "ended with status 1".
std::string FormatEnd(int status);

}  // namespace furrow
