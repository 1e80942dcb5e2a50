// Starts one step as a process.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "agent/runner/process_tree.h"
#include "agent/runner/protocol.h"
#include "common/base/error.h"

namespace furrow::runner {

// Starts processes. A keeper has one Spawner, which holds /dev/null open.
class Spawner {
 public:
  // `job_umask` is the umask of what it starts.
  explicit Spawner(mode_t job_umask);
  ~Spawner();
  Spawner(const Spawner&) = delete;
  Spawner& operator=(const Spawner&) = delete;

  // Starts argv[0] in a session of its own: in `workspace`, with only `env`, stdin from /dev/null, stdout and stderr to
  // `output`, no signal blocked or ignored, and no other descriptor open. Blocks until the program is executing. An
  // error names the program to the job's author.
  Result<Leader> Spawn(const std::vector<std::string>& argv, const std::vector<std::string>& env,
                       const std::string& workspace, int output);

 private:
  const mode_t job_umask_;
  int null_;
};

}  // namespace furrow::runner
