// This header runs a daemon as a child process that does not outlive its parent.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

#include "common/base/error.h"
#include "controller/cli/up/setup.h"

namespace furrow::cli {

// Starts a daemon in its own process group (Ctrl-C reaches only the parent), with output appended to its log and
// nothing on stdin. If this process dies in any way, the child gets `death_signal`. Only the main thread may call this
// function.
Result<pid_t> StartDaemon(const DaemonPlan& plan, int death_signal);

// Returns the processes `furrow-runner --state DIR` whose DIR lies beneath `folder`: they are no children of this
// process.
std::vector<pid_t> RunnersBeneath(const std::string& folder);

// Returns the last non-empty line of a log without the time and program in front.
std::string LastWords(const std::string& log_file);

// A Daemon keeps one daemon running: it starts the daemon, and again after each death, with longer pauses.
class Daemon {
 public:
  using Clock = std::chrono::steady_clock;

  Daemon(DaemonPlan plan, int death_signal) : plan_(std::move(plan)), death_signal_(death_signal) {}

  const DaemonPlan& plan() const { return plan_; }
  pid_t pid() const { return pid_; }  // 0: not running
  Status Start();
  // Handles the end of a process. If the process is this daemon, makes the daemon due again after a pause, sets
  // `message` for the user and returns true.
  bool OnExit(pid_t pid, int status, std::string& message);
  bool Due() const { return pid_ == 0 && Clock::now() >= due_; }
  Clock::time_point due() const { return due_; }
  void Signal(int number) const;

 private:
  const DaemonPlan plan_;
  const int death_signal_;
  pid_t pid_ = 0;
  Clock::time_point started_{};
  Clock::time_point due_{};
  std::chrono::milliseconds pause_{0};
};

}  // namespace furrow::cli
