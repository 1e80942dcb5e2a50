#include "tests/agent/runner/fixture.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "agent/runner/process_tree.h"
#include "agent/runner/socket.h"

namespace furrow::runner::testing {
namespace {

void AwaitReadable(int fd, const char* what) {
  pollfd wait{fd, POLLIN, 0};
  REQUIRE_MESSAGE(::poll(&wait, 1, kPatienceMs) == 1, "nothing came: " << what);
}

}  // namespace

AttemptRef Ref(std::uint64_t job) {
  return {JobId{job}, Epoch{1}};
}

std::string ReadFile(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

bool IsDead(pid_t pid) {
  const auto process = ReadProcess(pid);
  return !process || process->state == 'Z';
}

Fifo::Fifo(std::string path) : path_(std::move(path)) {
  REQUIRE(::mkfifo(path_.c_str(), 0600) == 0);
  fd_ = ::open(path_.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC);  // both ways, so that it never reads as ended
  REQUIRE(fd_ >= 0);
}

Fifo::~Fifo() {
  ::close(fd_);
}

std::string Fifo::Line() {
  for (;;) {
    if (const std::size_t end = rest_.find('\n'); end != std::string::npos) {
      std::string line = rest_.substr(0, end);
      rest_.erase(0, end + 1);
      return line;
    }
    AwaitReadable(fd_, path_.c_str());
    char buffer[4096];
    const ssize_t got = ::read(fd_, buffer, sizeof(buffer));
    if (got > 0) rest_.append(buffer, static_cast<std::size_t>(got));
  }
}

Fixture::Fixture() {
  const char* const base = std::getenv("TMPDIR");
  dir_ = std::string(base != nullptr ? base : "/tmp") + "/furrow-runner-XXXXXX";
  REQUIRE(::mkdtemp(dir_.data()) != nullptr);
}

Fixture::~Fixture() {
  auto client = RunnerClient::Connect(state());
  if (client && client->Send({Shutdown{true}})) {
    pollfd wait{client->fd(), POLLIN, 0};
    while (::poll(&wait, 1, kPatienceMs) == 1 && client->Receive()) {
    }
  }
  std::error_code ignored;
  std::filesystem::remove_all(dir_, ignored);
}

Start Fixture::Job(std::uint64_t job, std::vector<std::vector<std::string>> steps) const {
  Start start;
  start.ref = Ref(job);
  start.workspace = dir_ + "/work/" + std::to_string(job);
  start.spool = spool(job);
  start.env = {"PATH=/usr/bin:/bin", "FURROW=1"};
  for (auto& argv : steps) start.steps.push_back({argv, argv.empty() ? "" : argv[0]});
  start.kill_grace_ms = 60'000;
  start.blob = "blob of " + std::to_string(job);
  return start;
}

void Fixture::StartRunner(const std::string& program) {
  const Status status = runner::StartRunner(state(), program);
  REQUIRE_MESSAGE(status.has_value(), (status ? "" : status.error().message));
  Connect();
}

void Fixture::Connect() {
  auto client = RunnerClient::Connect(state());
  REQUIRE_MESSAGE(client.has_value(), (client ? "" : client.error().message));
  client_.emplace(std::move(*client));
  events_.clear();
}

void Fixture::Send(const std::vector<Request>& requests) {
  REQUIRE(client_->Send(requests));
  while (client_->wants_write()) {
    pollfd wait{client_->fd(), POLLOUT, 0};
    REQUIRE(::poll(&wait, 1, kPatienceMs) == 1);
    REQUIRE(client_->Flush());
  }
}

pid_t Fixture::RunnerPid() {
  ucred peer{};
  socklen_t size = sizeof(peer);
  REQUIRE(::getsockopt(client_->fd(), SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0);
  return peer.pid;
}

void Fixture::KillRunner() {
  const pid_t pid = RunnerPid();
  const int fd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  REQUIRE(fd >= 0);
  REQUIRE(::kill(pid, SIGKILL) == 0);
  AwaitReadable(fd, "the runner's death");
  ::close(fd);
  client_.reset();
}

Event Fixture::Next() {
  while (events_.empty()) {
    AwaitReadable(client_->fd(), "an event of the runner");
    auto events = client_->Receive();
    REQUIRE_MESSAGE(events.has_value(), (events ? "" : events.error().message));
    events_ = std::move(*events);
  }
  Event event = std::move(events_.front());
  events_.erase(events_.begin());
  return event;
}

template <class T>
T Fixture::Await(const std::function<bool(const T&)>& wanted) {
  std::vector<Event> others;
  for (;;) {
    Event event = Next();
    if (auto* found = std::get_if<T>(&event); found != nullptr && wanted(*found)) {
      events_.insert(events_.begin(), others.begin(), others.end());
      return std::move(*found);
    }
    others.push_back(std::move(event));
  }
}

Exited Fixture::AwaitExited(std::uint64_t job) {
  return Await<Exited>([&](const Exited& e) { return e.ref == Ref(job); });
}

Started Fixture::AwaitStarted(std::uint64_t job) {
  return Await<Started>([&](const Started& s) { return s.ref == Ref(job); });
}

Exited Fixture::RunToEnd(const Start& start) {
  Send({start});
  return AwaitExited(Raw(start.ref.job));
}

Listing Fixture::List() {
  Send({runner::List{}});
  return Await<Listing>([](const Listing&) { return true; });
}

void Fixture::AwaitGone() {
  for (;;) {
    AwaitReadable(client_->fd(), "the end of the connection");
    const auto events = client_->Receive();
    if (events) continue;
    CHECK(events.error().code == Errc::kUnavailable);
    return;
  }
}

std::string Fixture::Output(std::uint64_t job) const {
  return ReadFile(spool(job));
}

}  // namespace furrow::runner::testing
