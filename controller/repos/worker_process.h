// A WorkerProcess is one repository worker: a child process that gets a request and is watched until it has answered,
// died or exceeded its time. One thread uses the class.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "common/base/error.h"
#include "controller/repos/worker_messages.h"

namespace furrow::repos {

class WorkerProcess {
 public:
  using Clock = std::chrono::steady_clock;

  // Starts `program --repository-worker` and sends the request. `options` must outlive the process object, which reads
  // only program and memory_limit_bytes. kUnavailable: the child cannot be started; kInvalid: the request is too long.
  static Result<std::unique_ptr<WorkerProcess>> Start(const RepositoryOptions& options,
                                                      std::chrono::milliseconds timeout, const WorkerRequest& request);
  ~WorkerProcess();  // Kills and reaps the child, if it is still there.

  int output() const { return output_; }  // the pipe to poll for input; -1 at its end
  int exit() const { return exit_; }      // a pidfd: readable once the child has ended
  Clock::time_point deadline() const { return deadline_; }

  // Reads the available part of the answer. Callers call Read when output() is readable.
  void Read();
  // Returns the child's answer or the reason of its end; null: the child still works. Kills a child that is past the
  // deadline at `now`. kUnavailable: the deadline has passed, or somebody sent the child a signal; kInternal: the child
  // ended by itself without an answer.
  std::unique_ptr<Result<WorkerReply>> Finish(Clock::time_point now);
  // Returns whether the child has stored something that another try need not store again. Callers call it after Finish
  // has returned an answer.
  bool progressed() const { return progressed_; }

 private:
  WorkerProcess(const RepositoryOptions& options, std::chrono::milliseconds timeout)
      : options_(options), timeout_(timeout) {}
  Result<WorkerReply> TooLate() const;
  Result<WorkerReply> Outcome(int status, std::string_view answer) const;
  int Reap();  // Waits for the child's end and returns the wait status.

  const RepositoryOptions& options_;
  const std::chrono::milliseconds timeout_;
  pid_t pid_ = -1;
  int output_ = -1;
  int exit_ = -1;
  Clock::time_point deadline_;
  std::string answer_;
  bool progressed_ = false;
};

}  // namespace furrow::repos
