#include "controller/repos/worker_process.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <utility>

#include "common/base/process.h"

namespace furrow::repos {
namespace {

// Sanitizers map terabytes that they never touch, so the limit would stop them.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kLimitMemory = false;
#else
constexpr bool kLimitMemory = true;
#endif

// What keeps a child from being started is the machine's trouble and no fault of the commit, whatever the error is.
Error Momentary(Error error) {
  error.code = Errc::kUnavailable;
  return error;
}

// Returns whether the kernel ends a process with this signal for what the process itself did. Any other signal was
// sent: by the kernel that ran out of memory, or by systemd that stops the controller and its children.
bool IsOwnFault(int signal) {
  switch (signal) {
    case SIGABRT:
    case SIGBUS:
    case SIGFPE:
    case SIGILL:
    case SIGSEGV:
    case SIGSYS:
    case SIGTRAP: return true;
    default: return false;
  }
}

// A socket holds so much without a reader; a longer request is refused, because sending it would block.
constexpr std::size_t kMaxRequestBytes = 60 << 10;

// A Pipe holds the two ends of a channel and closes those that were not taken.
class Pipe {
 public:
  Pipe() = default;
  ~Pipe() {
    for (const int fd : ends) {
      if (fd >= 0) ::close(fd);
    }
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  int Take(int end) { return std::exchange(ends[end], -1); }
  int ends[2] = {-1, -1};
};

}  // namespace

Result<std::unique_ptr<WorkerProcess>> WorkerProcess::Start(const RepositoryOptions& options,
                                                            std::chrono::milliseconds timeout,
                                                            const WorkerRequest& request) {
  const std::string words = Encode(request);
  if (words.size() > kMaxRequestBytes) return Fail(Errc::kInvalid, "the repository's address or ref is too long");
  Pipe to, from;
  // The channel to the child is a socket, because writing to a child that died must not raise SIGPIPE.
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, to.ends) != 0 || ::pipe2(from.ends, O_CLOEXEC) != 0) {
    return tl::unexpected(Momentary(ErrnoError("cannot start a repository worker", errno)));
  }
  std::unique_ptr<WorkerProcess> worker(new WorkerProcess(options, timeout));
  SpawnOptions spawn;
  spawn.descriptors = {{to.ends[0], STDIN_FILENO}, {from.ends[1], STDOUT_FILENO}};
  spawn.group = ProcessGroup::kOwn;  // so that nothing that the worker might start survives it
  const auto started = Spawn({options.program.string(), "--repository-worker"}, spawn);
  if (!started) return tl::unexpected(Momentary(started.error()));
  worker->pid_ = *started;
  worker->exit_ = static_cast<int>(::syscall(SYS_pidfd_open, worker->pid_, 0));
  if (worker->exit_ < 0) return tl::unexpected(Momentary(ErrnoError("cannot watch a repository worker", errno)));
  if (kLimitMemory) {
    // The limit is in time: the child first reads its request, which has not been sent.
    const rlimit limit{options.memory_limit_bytes, options.memory_limit_bytes};
    ::prlimit(worker->pid_, RLIMIT_AS, &limit, nullptr);
  }
  const rlimit no_core{0, 0};
  ::prlimit(worker->pid_, RLIMIT_CORE, &no_core, nullptr);
  ::close(to.Take(0));
  // If the child has already died, Finish reports how.
  if (::send(to.ends[1], words.data(), words.size(), MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && errno != EPIPE) {
    return tl::unexpected(Momentary(ErrnoError("cannot talk to a repository worker", errno)));
  }
  worker->output_ = from.Take(0);
  ::fcntl(worker->output_, F_SETFL, O_NONBLOCK);
  worker->deadline_ = Clock::now() + timeout;
  return worker;
}

WorkerProcess::~WorkerProcess() {
  if (pid_ > 0) {
    ::kill(-pid_, SIGKILL);
    ::kill(pid_, SIGKILL);  // The child may not have become a group yet.
    Reap();
  }
  if (output_ >= 0) ::close(output_);
  if (exit_ >= 0) ::close(exit_);
}

int WorkerProcess::Reap() {
  return furrow::Reap(std::exchange(pid_, -1));
}

void WorkerProcess::Read() {
  char buffer[64 << 10];
  for (;;) {
    const ssize_t got = ::read(output_, buffer, sizeof(buffer));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0 || answer_.size() + static_cast<std::size_t>(got) > kMaxReplyBytes) {
      ::close(std::exchange(output_, -1));
      return;
    }
    answer_.append(buffer, static_cast<std::size_t>(got));
  }
}

std::unique_ptr<Result<WorkerReply>> WorkerProcess::Finish(Clock::time_point now) {
  pollfd ended{exit_, POLLIN, 0};
  const bool late = ::poll(&ended, 1, 0) == 0;
  if (late && now < deadline_) return nullptr;
  ::kill(-pid_, SIGKILL);  // A child that has ended may have left processes.
  if (late) ::kill(pid_, SIGKILL);
  const int status = Reap();
  if (output_ >= 0) Read();
  std::string_view answer = answer_;
  progressed_ = TakeProgress(answer);
  return std::make_unique<Result<WorkerReply>>(late ? TooLate() : Outcome(status, answer));
}

Result<WorkerReply> WorkerProcess::TooLate() const {
  return Fail(Errc::kUnavailable,
              "the repository took longer than " + std::to_string(timeout_.count()) + " ms (repos.timeout)");
}

Result<WorkerReply> WorkerProcess::Outcome(int status, std::string_view answer) const {
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return DecodeReply(answer);
  const std::string end = "the repository worker " + FormatEnd(status);
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
    return Fail(Errc::kUnavailable, end + ", as the kernel does when the machine has no memory left");
  if (WIFSIGNALED(status) && !IsOwnFault(WTERMSIG(status))) return Fail(Errc::kUnavailable, end);
  return Fail(Errc::kInternal,
              end + "; its memory limit is " + std::to_string(options_.memory_limit_bytes >> 20) + " MiB");
}

}  // namespace furrow::repos
