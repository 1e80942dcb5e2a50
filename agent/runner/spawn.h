// Starts one step as a process.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "agent/runner/process_tree.h"
#include "agent/runner/protocol.h"
#include "common/base/error.h"

namespace furrow::runner {

// Starts processes. One for the runner's life: it keeps /dev/null open.
class Spawner {
 public:
  Spawner();
  ~Spawner();
  Spawner(const Spawner&) = delete;
  Spawner& operator=(const Spawner&) = delete;

  // Starts argv[0] in a session of its own: in `workspace`, with just `env`, stdin from /dev/null, stdout and stderr to
  // `output`, no signal blocked or ignored, no other descriptor open. Blocks until the program is executing. The
  // error's message is for the job's author and names the program.
  Result<Leader> Spawn(const std::vector<std::string>& argv, const std::vector<std::string>& env,
                       const std::string& workspace, int output);

 private:
  int null_;
};

}  // namespace furrow::runner
