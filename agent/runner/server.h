// The runner's loop: signals, clients and deadlines in; frames out.
#pragma once

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
  // Takes over `listener` (a listening, non-blocking unix socket). SIGCHLD, SIGTERM and SIGINT must be blocked already.
  // The others are the caller's and outlive this.
  Server(int listener, Executor& executor, const Clock& clock);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Serves until there is nothing left to do: shut down and no job runs, or for kLinger no client and no job.
  // kInternal: epoll failed.
  Status Run();

 private:
  struct Connection {
    int fd = -1;
    FrameReader frames;
    std::string output;
    std::size_t sent = 0;
    TimePoint progress;         // when the client last took something, or had nothing to take
    std::uint32_t watched = 0;  // events that epoll reports for it
    bool wants_list = false;    // answered once the turn is on disk
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
  Executor& executor_;
  const Clock& clock_;
  std::vector<std::unique_ptr<Connection>> connections_;
  TimePoint alone_since_;
  bool starts_wait_ = false;  // some Started were not sent yet; they go with the next turn
  std::vector<char> buffer_;
};

}  // namespace furrow::runner
