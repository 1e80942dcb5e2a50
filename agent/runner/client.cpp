#include "agent/runner/client.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "agent/runner/socket.h"

namespace furrow::runner {
namespace {

tl::unexpected<Error> Gone(const std::string& how) {
  return Fail(Errc::kUnavailable, "the runner is gone (" + how + "); runner.log in the state folder may say why");
}

}  // namespace

Result<RunnerClient> RunnerClient::Connect(const std::string& state_dir) {
  FURROW_ASSIGN(const int fd, ConnectSocket(state_dir));
  RunnerClient client(fd);
  FURROW_TRY(AppendFrame(Hello{kProtocolVersion, ::getpid()}, client.output_));
  return client;
}

RunnerClient::RunnerClient(RunnerClient&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      greeted_(other.greeted_),
      holds_(other.holds_),
      pid_(other.pid_),
      frames_(std::move(other.frames_)),
      listing_(std::move(other.listing_)),
      output_(std::move(other.output_)),
      sent_(other.sent_) {}

RunnerClient& RunnerClient::operator=(RunnerClient&& other) noexcept {
  if (this == &other) return *this;
  if (fd_ >= 0) ::close(fd_);
  fd_ = std::exchange(other.fd_, -1);
  greeted_ = other.greeted_;
  holds_ = other.holds_;
  pid_ = other.pid_;
  frames_ = std::move(other.frames_);
  listing_ = std::move(other.listing_);
  output_ = std::move(other.output_);
  sent_ = other.sent_;
  return *this;
}

RunnerClient::~RunnerClient() {
  if (fd_ >= 0) ::close(fd_);
}

Status RunnerClient::Send(const std::vector<Request>& requests) {
  const std::size_t before = output_.size();
  for (const Request& request : requests) {
    if (Status status = Queue(request); !status) {
      output_.resize(before);
      return status;
    }
  }
  return Flush();
}

Status RunnerClient::Queue(const Request& request) {
  return AppendFrame(std::visit([](const auto& message) { return Frame(message); }, request), output_);
}

Status RunnerClient::Flush() {
  while (sent_ < output_.size()) {
    const ssize_t put = ::send(fd_, output_.data() + sent_, output_.size() - sent_, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0 && errno == EAGAIN) return {};
    if (put < 0) return Gone(ErrnoError("send", errno).message);
    sent_ += static_cast<std::size_t>(put);
  }
  output_.clear();
  sent_ = 0;
  return {};
}

Result<std::vector<Event>> RunnerClient::Receive() {
  std::vector<Frame> frames;
  char buffer[64u << 10];
  bool closed = false;
  for (;;) {
    const ssize_t got = ::recv(fd_, buffer, sizeof(buffer), MSG_DONTWAIT);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) break;
    if (got < 0) return Gone(ErrnoError("recv", errno).message);
    if (got == 0) {
      closed = true;
      break;
    }
    if (const Status fed = frames_.Feed({buffer, static_cast<std::size_t>(got)}, frames); !fed)
      return tl::unexpected(Annotate(fed.error(), "from the runner"));
    if (static_cast<std::size_t>(got) < sizeof(buffer)) break;
  }
  std::vector<Event> events;
  for (Frame& frame : frames) {
    if (const auto* hello = std::get_if<Hello>(&frame)) {
      if (hello->version != kProtocolVersion)
        return Fail(Errc::kRejected,
                    "the runner (pid " + std::to_string(hello->pid) + ") speaks version " +
                        std::to_string(hello->version) + ", this agent version " + std::to_string(kProtocolVersion) +
                        "; let its jobs end (it exits by itself then), or run the agent that it came with");
      greeted_ = true;
      holds_ = hello->holds;
      pid_ = static_cast<pid_t>(hello->pid);
    } else if (auto* started = std::get_if<Started>(&frame)) {
      events.emplace_back(*started);
    } else if (auto* exited = std::get_if<Exited>(&frame)) {
      events.emplace_back(std::move(*exited));
    } else if (auto* listed = std::get_if<Listed>(&frame)) {
      listing_.attempts.push_back(std::move(listed->attempt));
    } else if (const auto* end = std::get_if<ListEnd>(&frame)) {
      listing_.incomplete = end->incomplete;
      events.emplace_back(std::exchange(listing_, {}));
    } else {
      return Fail(Errc::kCorrupt, "the runner sent what only an agent sends");
    }
    if (!greeted_) return Fail(Errc::kCorrupt, "what answers on the runner's socket is no furrow-runner");
  }
  if (closed && events.empty()) return Gone("it closed the connection");  // After events the next call reports the end.
  return events;
}

}  // namespace furrow::runner
