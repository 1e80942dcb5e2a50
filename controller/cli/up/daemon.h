// A daemon as a child process that does not outlive us.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

#include "common/base/error.h"
#include "controller/cli/up/setup.h"

namespace furrow::cli {

// Starts it in a process group of its own (Ctrl-C reaches us alone), output appended to its log, nothing on stdin. If
// this process dies, however it dies, the child gets `death_signal`. To be called from the main thread.
Result<pid_t> StartDaemon(const DaemonPlan& plan, int death_signal);

// The processes `furrow-runner --state DIR` whose DIR lies beneath `folder`: they are no children of ours.
std::vector<pid_t> RunnersBeneath(const std::string& folder);

// The last line of a log that is not empty, without the time and program in front.
std::string LastWords(const std::string& log_file);

// Keeps one daemon going: starts it, and again after it died, later each time.
class Daemon {
 public:
  using Clock = std::chrono::steady_clock;

  Daemon(DaemonPlan plan, int death_signal) : plan_(std::move(plan)), death_signal_(death_signal) {}

  const DaemonPlan& plan() const { return plan_; }
  pid_t pid() const { return pid_; }  // 0: not running
  Status Start();
  // Takes note of its end, if this is it; it is due again after a pause. Returns what to tell the user.
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
