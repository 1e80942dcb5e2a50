// One repository worker: a child process that is given a request and watched until it has answered, died or
// overstayed. One thread.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "common/base/error.h"
#include "controller/repos/worker_messages.h"

namespace furrow::repos {

class WorkerProcess {
 public:
  using Clock = std::chrono::steady_clock;

  // `options` must outlive it; of them only program and memory_limit_bytes are read. Starts `program
  // --repository-worker` and hands it the request. kInternal: it cannot be started.
  static Result<std::unique_ptr<WorkerProcess>> Start(const RepositoryOptions& options,
                                                      std::chrono::milliseconds timeout, const WorkerRequest& request);
  ~WorkerProcess();  // kills and reaps it, if it is still there

  int output() const { return output_; }  // to be polled for input, until -1
  int exit() const { return exit_; }      // a pidfd: readable once the child has ended
  Clock::time_point deadline() const { return deadline_; }

  // Takes what is there of the answer. Call when output() is readable.
  void Read();
  // Whether it has ended, and how: its answer, or what became of it. Null: it still works. Kills it when
  // `now` is past the deadline.
  std::unique_ptr<Result<WorkerReply>> Finish(Clock::time_point now);

 private:
  WorkerProcess(const RepositoryOptions& options, std::chrono::milliseconds timeout)
      : options_(options), timeout_(timeout) {}
  int Reap();  // waits for its end; the wait status

  const RepositoryOptions& options_;
  const std::chrono::milliseconds timeout_;
  pid_t pid_ = -1;
  int output_ = -1;
  int exit_ = -1;
  Clock::time_point deadline_;
  std::string answer_;
};

}  // namespace furrow::repos
