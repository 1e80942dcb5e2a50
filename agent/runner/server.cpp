#include "agent/runner/server.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <string_view>

#include "agent/runner/log.h"
#include "agent/runner/process_tree.h"
#include "common/base/check.h"
#include "common/base/overloaded.h"

namespace furrow::runner {
namespace {

using std::chrono::seconds;

constexpr Duration kLinger = seconds(10);  // An agent that restarts in this time finds its runner.
constexpr std::size_t kMaxClients = 16;
constexpr std::size_t kReadBytes = 256u << 10;
constexpr std::size_t kMaxReadBytes = 1u << 20;     // read from one client in one turn
constexpr std::size_t kMaxWaitingBytes = 8u << 20;  // While more bytes wait for a client, its requests wait, too.
constexpr Duration kMaxStalled = seconds(10);       // Such a client is dropped if it takes no bytes for this time.

// A Started waits this long for the Exited of a short job, so that both go in one write.
constexpr Duration kStartsWait = std::chrono::milliseconds(1);

// These marks name the four descriptors in epoll's user data; a connection's mark is its address.
constexpr std::uint64_t kListenerMark = 1;
constexpr std::uint64_t kSignalsMark = 2;
constexpr std::uint64_t kKeepersMark = 3;
constexpr std::uint64_t kOutputsMark = 4;

bool Watch(int epoll, int operation, int fd, std::uint32_t events, std::uint64_t mark) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = mark;
  return ::epoll_ctl(epoll, operation, fd, &event) == 0;
}

// Returns whether the program's file was replaced or removed since this process began: the next runner is another
// version.
bool WasReplaced() {
  constexpr std::string_view kMark = " (deleted)";
  char path[4096];
  const ssize_t size = ::readlink("/proc/self/exe", path, sizeof(path));
  return size > 0 && std::string_view(path, static_cast<std::size_t>(size)).ends_with(kMark);
}

}  // namespace

Server::Server(int listener, int keepers, Executor& executor, const Clock& clock)
    : listener_(listener),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      executor_(executor),
      clock_(clock),
      alone_since_(clock.Read().mono),
      buffer_(kReadBytes) {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int signal : {SIGCHLD, SIGTERM, SIGINT}) ::sigaddset(&set, signal);
  signals_ = ::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  FURROW_CHECK(epoll_ >= 0 && signals_ >= 0, "out of descriptors or memory at start");
  FURROW_CHECK(Watch(epoll_, EPOLL_CTL_ADD, listener_, EPOLLIN, kListenerMark) &&
                   Watch(epoll_, EPOLL_CTL_ADD, signals_, EPOLLIN, kSignalsMark) &&
                   Watch(epoll_, EPOLL_CTL_ADD, keepers, EPOLLIN, kKeepersMark) &&
                   Watch(epoll_, EPOLL_CTL_ADD, executor_.outputs_fd(), EPOLLIN, kOutputsMark),
               "epoll refused a descriptor at start");
}

Server::~Server() {
  for (const auto& connection : connections_) ::close(connection->fd);
  ::close(signals_);
  ::close(epoll_);
  ::close(listener_);
}

Status Server::Run() {
  Now now = clock_.Read();
  while (!Done(now)) {
    epoll_event ready[2 * kMaxClients + 3];
    const int count = ::epoll_wait(epoll_, ready, std::size(ready), WaitMs(now));
    if (count < 0 && errno != EINTR) return tl::unexpected(ErrnoError("epoll_wait", errno));
    now = clock_.Read();
    for (int i = 0; i < count; ++i) {
      if (ready[i].data.u64 == kListenerMark)
        Accept(now);
      else if (ready[i].data.u64 == kSignalsMark)
        ReadSignals(now);
      else if (ready[i].data.u64 == kKeepersMark)
        executor_.OnKeepers(now);
      else if (ready[i].data.u64 == kOutputsMark)
        executor_.OnOutputs(now);
      else if (ready[i].events & ~static_cast<std::uint32_t>(EPOLLOUT))
        ReadRequests(now, *static_cast<Connection*>(ready[i].data.ptr));
    }
    executor_.OnTimers(now);
    executor_.Spawn(now);  // Starts that are on disk come first: the CPUs of ended jobs are free.
    executor_.Commit(now);
    Tell(executor_.TakeEvents());
    for (const auto& connection : connections_) {
      if (std::exchange(connection->wants_list, false)) SendList(*connection);
    }
    Write(now);  // The new spawns take time, in which a client can prepare its next message.
    executor_.Spawn(now);
    executor_.Commit(now);
    const std::vector<Frame> events = executor_.TakeEvents();
    Tell(events);
    starts_wait_ = !events.empty() && std::all_of(events.begin(), events.end(), [](const Frame& event) {
      return std::holds_alternative<Started>(event);
    });
    if (!starts_wait_) Write(now);
    DropBroken();
    if (!connections_.empty()) alone_since_ = now.mono;
  }
  return {};
}

bool Server::Done(Now now) {
  if (!executor_.idle()) return false;
  const bool all_sent = std::all_of(connections_.begin(), connections_.end(), [](const auto& connection) {
    return connection->sent == connection->output.size();
  });
  if (executor_.shutting_down()) return all_sent;
  return connections_.empty() && (now.mono - alone_since_ >= kLinger || WasReplaced());
}

int Server::WaitMs(Now now) const {
  std::optional<TimePoint> next = executor_.NextDeadline();
  const auto sooner = [&](TimePoint at) {
    if (!next || at < *next) next = at;
  };
  if (connections_.empty() && executor_.idle()) sooner(alone_since_ + kLinger);
  for (const auto& connection : connections_) {
    if (connection->output.size() - connection->sent > kMaxWaitingBytes) sooner(connection->progress + kMaxStalled);
  }
  if (starts_wait_) sooner(now.mono + kStartsWait);
  if (!next) return -1;
  const auto wait = std::chrono::ceil<std::chrono::milliseconds>(*next - now.mono).count();
  return static_cast<int>(std::clamp<long long>(wait, 0, 3'600'000));
}

void Server::Accept(Now now) {
  for (;;) {
    const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) return;
    ucred peer{};
    socklen_t size = sizeof(peer);
    const bool known = ::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == ::geteuid();
    auto connection = std::make_unique<Connection>();
    connection->fd = fd;
    connection->progress = now.mono;
    connection->watched = EPOLLIN;
    if (!known || connections_.size() >= kMaxClients ||
        !Watch(epoll_, EPOLL_CTL_ADD, fd, EPOLLIN, reinterpret_cast<std::uint64_t>(connection.get()))) {
      Log(known ? "a client was turned away: too many are connected" : "a client of another user was turned away");
      ::close(fd);
      continue;
    }
    const Status greeted = AppendFrame(Hello{kProtocolVersion, ::getpid(), /*holds=*/true}, connection->output);
    FURROW_CHECK(greeted.has_value(), "a Hello that is too large");
    connections_.push_back(std::move(connection));
  }
}

void Server::ReadSignals(Now now) {
  signalfd_siginfo info[8];
  bool children = false;
  for (;;) {
    const ssize_t got = ::read(signals_, info, sizeof(info));
    if (got <= 0) break;
    const std::size_t count = static_cast<std::size_t>(got) / sizeof(info[0]);
    for (std::size_t i = 0; i < count; ++i) {
      if (info[i].ssi_signo == SIGCHLD) {
        children = true;
        continue;
      }
      const auto sender = static_cast<pid_t>(info[i].ssi_pid);
      if (!executor_.idle() && MayBeAJobs(sender, info[i].ssi_uid, ::getpid(), parent_, /*busy=*/true)) {
        Log("signal " + std::to_string(info[i].ssi_signo) + " from process " + std::to_string(sender) +
            " is not obeyed while jobs run: it is a job's, or has ended. `furrow-agent` and the service manager are "
            "obeyed");
        continue;
      }
      Log("told to end by a signal from process " + std::to_string(sender) + ": killing all jobs");
      executor_.OnShutdown(now, true, "the runner of this agent was told to end");
    }
    if (count < std::size(info)) break;
  }
  if (!children) return;
  executor_.OnChildren();
  executor_.OnKeepers(now);
}

void Server::ReadRequests(Now now, Connection& connection) {
  std::vector<Frame> frames;
  for (std::size_t total = 0; total < kMaxReadBytes;) {
    const ssize_t got = ::recv(connection.fd, buffer_.data(), buffer_.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) break;
    if (got <= 0) {
      connection.broken = true;  // The requests before the end still count.
      break;
    }
    const Status fed = connection.frames.Feed({buffer_.data(), static_cast<std::size_t>(got)}, frames);
    if (!fed) {
      Log("a client is disconnected: it sent " + fed.error().message);
      connection.broken = true;
      break;
    }
    total += static_cast<std::size_t>(got);
    if (static_cast<std::size_t>(got) < buffer_.size()) break;
  }
  for (Frame& frame : frames) Handle(now, connection, std::move(frame));
}

void Server::Handle(Now now, Connection& connection, Frame frame) {
  std::visit(Overloaded{
                 [&](Start& m) { executor_.OnStart(now, std::move(m)); },
                 [&](const Kill& m) { executor_.OnKill(now, m); },
                 [&](const Forget& m) { executor_.OnForget(m); },
                 [&](const List&) { connection.wants_list = true; },
                 [&](const Shutdown& m) { executor_.OnShutdown(now, m.kill_jobs, "the runner was shut down"); },
                 [&](const Lease& m) { executor_.OnLease(m); },
                 [](const Hello&) {},  // There is one version so far.
                 [&](const auto&) {
                   Log("a client is disconnected: it sent what only a runner sends");
                   connection.broken = true;
                 },
             },
             frame);
}

void Server::SendList(Connection& connection) {
  for (Attempt& attempt : executor_.List()) {
    const Status put = AppendFrame(Listed{std::move(attempt)}, connection.output);
    FURROW_CHECK(put.has_value(), "an attempt that does not fit into a frame was accepted");
  }
  const Status put = AppendFrame(ListEnd{executor_.incomplete()}, connection.output);
  FURROW_CHECK(put.has_value(), "a ListEnd that is too large");
}

void Server::Tell(const std::vector<Frame>& events) {
  if (events.empty() || connections_.empty()) return;
  std::string bytes;
  for (const Frame& event : events) {
    const Status put = AppendFrame(event, bytes);
    FURROW_CHECK(put.has_value(), "an event that does not fit into a frame");
  }
  for (const auto& connection : connections_) connection->output += bytes;
}

void Server::Write(Now now) {
  for (const auto& c : connections_) {
    while (!c->broken && c->sent < c->output.size()) {
      const ssize_t put = ::send(c->fd, c->output.data() + c->sent, c->output.size() - c->sent, MSG_NOSIGNAL);
      if (put < 0 && errno == EINTR) continue;
      if (put < 0 && errno == EAGAIN) break;
      if (put < 0) {
        c->broken = true;
        break;
      }
      c->sent += static_cast<std::size_t>(put);
      c->progress = now.mono;
    }
    const std::size_t waiting = c->output.size() - c->sent;
    if (waiting == 0) {
      c->progress = now.mono;
      c->output.clear();
      c->sent = 0;
    } else if (now.mono - c->progress >= kMaxStalled && waiting > kMaxWaitingBytes) {
      Log("a client is disconnected: it reads nothing");
      c->broken = true;
    }
    const std::uint32_t wanted = (waiting > kMaxWaitingBytes ? 0u : EPOLLIN) | (waiting > 0 ? EPOLLOUT : 0u);
    if (wanted != c->watched && !c->broken) {
      c->watched = wanted;
      c->broken = !Watch(epoll_, EPOLL_CTL_MOD, c->fd, wanted, reinterpret_cast<std::uint64_t>(c.get()));
    }
  }
}

void Server::DropBroken() {
  std::erase_if(connections_, [](const auto& connection) {
    if (connection->broken) ::close(connection->fd);  // close also removes the descriptor from epoll.
    return connection->broken;
  });
}

}  // namespace furrow::runner
