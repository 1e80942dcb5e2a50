// The agent's side of the runner's socket.
//
//   FURROW_TRY(runner::StartRunner(state_dir, program));     // does nothing if one serves the folder already
//   FURROW_ASSIGN(auto client, runner::RunnerClient::Connect(state_dir));
//   client.Send({runner::List{}});                            // then poll client.fd(): POLLIN, POLLOUT if
//   wants_write() FURROW_ASSIGN(auto events, client.Receive());
//
// One thread at a time.
#pragma once

#include <string>
#include <vector>

#include "agent/runner/protocol.h"
#include "common/base/error.h"

namespace furrow::runner {

// Makes sure that a runner serves `state_dir` (made with mode 0700 if missing): starts `program` (the path of
// furrow-runner) as a process of its own session that outlives the caller, unless one is there. Returns when its
// socket accepts connections. Its messages go to <state_dir>/runner.log. kNotFound: no such program. kUnavailable: it
// did not come up; the message has what it said.
Status StartRunner(const std::string& state_dir, const std::string& program);

class RunnerClient {
 public:
  // Connects to the runner of `state_dir`. kUnavailable: none is running there; StartRunner makes one.
  // kRejected: the socket belongs to another user.
  static Result<RunnerClient> Connect(const std::string& state_dir);

  RunnerClient(RunnerClient&& other) noexcept;
  RunnerClient& operator=(RunnerClient&& other) noexcept;
  ~RunnerClient();  // closes the connection; the jobs run on

  // Non-blocking; owned by the client.
  int fd() const { return fd_; }

  // Puts a request behind those that wait for Flush. kInvalid: it is too large; the message says what to make smaller.
  Status Queue(const Request& request);
  // Sends the requests in order, as far as the socket takes them; the rest waits for Flush. kInvalid: a request is
  // too large; none of them was sent. Any other error: the runner is gone (see Receive).
  Status Send(const std::vector<Request>& requests);

  // Whether something waits to be sent: then poll for POLLOUT too and call Flush.
  bool wants_write() const { return sent_ < output_.size(); }
  Status Flush();

  // Takes everything that has arrived, without blocking; empty if nothing did. kUnavailable: the runner is gone: make
  // a new client (StartRunner, Connect, List; attempts that were running are then listed as lost). kRejected: it
  // speaks another version. kCorrupt: it sent garbage. After an error the client is of no use any more.
  Result<std::vector<Event>> Receive();

  // Whether the runner knows Start::after; false until its first Event.
  bool holds() const { return holds_; }

 private:
  explicit RunnerClient(int fd) : fd_(fd) {}

  int fd_ = -1;
  bool greeted_ = false;  // the runner's Hello has arrived
  bool holds_ = false;
  FrameReader frames_;
  Listing listing_;  // as far as it has arrived
  std::string output_;
  std::size_t sent_ = 0;  // bytes of output_ that the socket has taken
};

}  // namespace furrow::runner
