// Runs the runner's loop, which takes in signals, requests and deadlines and sends frames.
#pragma once

#include <sys/types.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include "agent/runner/executor.h"
#include "agent/runner/protocol.h"
#include "common/base/clock.h"
#include "common/base/error.h"

namespace furrow::runner {

class Server {
 public:
  // Takes over `listener` (a listening, non-blocking unix socket). The caller has blocked SIGCHLD, SIGTERM and SIGINT,
  // and owns the executor and the clock, which outlive the server. `keepers`: Keepers::fd of the executor's.
  Server(int listener, int keepers, Executor& executor, const Clock& clock);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Serves until no job runs and the runner is shut down, had no client for kLinger, or had its program replaced and
  // has no client. kInternal: epoll failed.
  Status Run();

 private:
  struct Connection {
    int fd = -1;
    FrameReader frames;
    std::string output;
    std::size_t sent = 0;
    TimePoint progress;         // last time when the client took bytes, or none waited for the client
    std::uint32_t watched = 0;  // events that epoll reports for the client
    bool wants_list = false;    // The Listing is sent once the turn is on disk.
    bool broken = false;
  };

  void Accept(Now now);
  void ReadSignals(Now now);
  void ReadRequests(Now now, Connection& connection);
  void Handle(Now now, Connection& connection, Frame frame);
  void SendList(Connection& connection);
  void Tell(const std::vector<Frame>& events);
  void Write(Now now);
  void DropBroken();
  bool Done(Now now);
  int WaitMs(Now now) const;

  int listener_;
  int epoll_;
  int signals_;
  const pid_t parent_ = ::getppid();  // what started the runner: see MayBeAJobs
  Executor& executor_;
  const Clock& clock_;
  std::vector<std::unique_ptr<Connection>> connections_;
  TimePoint alone_since_;
  bool starts_wait_ = false;  // Some Started events wait for the next turn.
  std::vector<char> buffer_;
};

}  // namespace furrow::runner
