// Is the agent's side of the runner's socket:
//
//   FURROW_TRY(runner::StartRunner(state_dir, program));  // does nothing if a runner serves the folder
//   FURROW_ASSIGN(auto client, runner::RunnerClient::Connect(state_dir));
//   client.Send({runner::List{}});
//   // Poll client.fd() for POLLIN, and for POLLOUT if wants_write().
//   FURROW_ASSIGN(auto events, client.Receive());
//
// Only one thread at a time may use a client.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "agent/runner/protocol.h"
#include "common/base/error.h"

namespace furrow::runner {

// Makes sure that a runner serves `state_dir` (made with mode 0700 if missing): unless one does, starts `program` (the
// path of furrow-runner) in a session of its own, so that the runner outlives the caller. Returns when the runner's
// socket accepts connections. The runner logs to <state_dir>/runner.log. kNotFound: no such program. kUnavailable: the
// runner did not come up; the message quotes the runner.
Status StartRunner(const std::string& state_dir, const std::string& program);

class RunnerClient {
 public:
  // Connects to the runner of `state_dir`. kUnavailable: no runner serves the folder; StartRunner starts one.
  // kRejected: the socket belongs to another user.
  static Result<RunnerClient> Connect(const std::string& state_dir);

  RunnerClient(RunnerClient&& other) noexcept;
  RunnerClient& operator=(RunnerClient&& other) noexcept;
  ~RunnerClient();  // Closes the connection; the jobs run on.

  // Returns the non-blocking descriptor, which the client owns.
  int fd() const { return fd_; }

  // Queues a request for Flush. kInvalid: the request is too large; the message names the part to make smaller.
  Status Queue(const Request& request);
  // Sends the requests in order, as far as the socket takes them; the rest waits for Flush. kInvalid: a request is too
  // large, and none was sent. Any other error: the runner is gone (see Receive).
  Status Send(const std::vector<Request>& requests);

  // Returns whether bytes wait to be sent: then the caller polls for POLLOUT, too, and calls Flush.
  bool wants_write() const { return sent_ < output_.size(); }
  Status Flush();

  // Returns the events that have arrived, without blocking. kUnavailable: the runner is gone; the caller makes a new
  // client (StartRunner, Connect, List), and the Listing then shows the running attempts as lost. kRejected: the
  // runner speaks another version. kCorrupt: the runner sent garbage. After an error the client is unusable.
  Result<std::vector<Event>> Receive();

  // Returns the runner's process; 0 until its first Event.
  pid_t pid() const { return pid_; }

  // Returns whether the runner knows Start::after; false until its first Event.
  bool holds() const { return holds_; }

 private:
  explicit RunnerClient(int fd) : fd_(fd) {}

  int fd_ = -1;
  bool greeted_ = false;  // The runner's Hello has arrived.
  bool holds_ = false;
  pid_t pid_ = 0;
  FrameReader frames_;
  Listing listing_;  // the attempts that have arrived so far
  std::string output_;
  std::size_t sent_ = 0;  // bytes of output_ that the socket has taken
};

}  // namespace furrow::runner
