// Brings the output of jobs into their spools.
//
// A job's processes write into a pipe, not into the spool itself: whatever they do to their streams (open
// /dev/stdout again, truncate, seek, write from two processes), what they have printed before stays. A thread of its
// own empties the pipes, so that a slow disk holds up only the jobs that print.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "common/base/error.h"

namespace furrow::runner {

// One job's pipe. Outputs makes and closes it.
class Output {
 public:
  ~Output();
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  // The end for the job's processes.
  int pipe() const { return write_fd_; }
  // What /proc shows as the target of a descriptor of the pipe.
  const std::string& name() const { return name_; }

 private:
  friend class Outputs;
  Output(std::uint64_t id, int spool) : id_(id), spool_(spool) {}

  const std::uint64_t id_;
  const int spool_;
  int read_fd_ = -1;
  int write_fd_ = -1;
  std::string name_;
  std::mutex mutex_;  // guards the fields below, and the order of what goes into the spool
  std::uint64_t offset_ = 0;
  bool large_ = false;  // The pipe was made larger, or cannot be.
  Status failure_;      // why the spool lacks bytes
};

class Outputs {
 public:
  Outputs();
  ~Outputs();  // Every output must be closed.
  Outputs(const Outputs&) = delete;
  Outputs& operator=(const Outputs&) = delete;

  // Makes a pipe into the spool's end. Borrows the descriptor `spool` until Close.
  Result<std::shared_ptr<Output>> Open(int spool);
  // Brings the rest into the spool. No process of the job lives, or those that do are not heard any more. Returns why
  // the spool is not whole, if so.
  Status Close(Output& output);

  // Becomes readable when bytes of some output could not be written; TakeFailed resets it.
  int fd() const { return failed_; }
  // Returns whether bytes of some output were lost since the last call.
  bool TakeFailed() const;
  static Status Failure(Output& output);

 private:
  void Run();
  // Empties the pipe, at most `most` bytes of it. The output's lock is held.
  void Empty(Output& output, std::uint64_t most, std::vector<std::byte>& buffer) const;

  int epoll_;
  int failed_;  // an eventfd
  int stop_;    // an eventfd
  std::mutex mutex_;
  std::map<std::uint64_t, std::shared_ptr<Output>> outputs_;
  std::uint64_t last_id_ = 0;
  std::thread thread_;
};

}  // namespace furrow::runner
