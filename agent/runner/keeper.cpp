#include "agent/runner/keeper.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "agent/runner/spawn.h"
#include "agent/runner/wire.h"
#include "common/base/clock.h"

namespace furrow::runner {
namespace {

constexpr int kSocket = STDERR_FILENO + 1;
constexpr int kLeaseLookMs = 1000;  // The runner may make the lease end sooner without a word to the keeper.
constexpr int kKillFirstMs = 5;
constexpr int kKillLastMs = 500;

struct Request {
  std::vector<std::string> argv;
  std::vector<std::string> env;
  std::string workspace;
  int output = -1;
};

// Receives a packet, with a descriptor if one comes along. Returns its size; 0: the runner is gone.
std::size_t Receive(char* bytes, std::size_t size, int* descriptor) {
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
  iovec part{bytes, size};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  ssize_t got = 0;
  do {
    got = ::recvmsg(kSocket, &message, MSG_CMSG_CLOEXEC);
  } while (got < 0 && errno == EINTR);
  if (got <= 0) return 0;
  const cmsghdr* const head = CMSG_FIRSTHDR(&message);
  if (head != nullptr && head->cmsg_type == SCM_RIGHTS && descriptor != nullptr)
    std::memcpy(descriptor, CMSG_DATA(head), sizeof(int));
  return static_cast<std::size_t>(got);
}

// Returns false if the runner is gone.
bool ReceiveRequest(Request& request) {
  std::uint64_t size = 0;
  std::string bytes(kKeeperPacketBytes, '\0');
  std::size_t done = Receive(bytes.data(), bytes.size(), &request.output);
  if (done < sizeof(size)) return false;
  std::memcpy(&size, bytes.data(), sizeof(size));
  bytes.resize(sizeof(size) + size);
  while (done < bytes.size()) {
    const std::size_t got = Receive(bytes.data() + done, std::min(bytes.size() - done, kKeeperPacketBytes), nullptr);
    if (got == 0) return false;
    done += got;
  }
  Reader reader(std::string_view(bytes).substr(sizeof(size)));
  request.argv = reader.Texts();
  request.env = reader.Texts();
  request.workspace = reader.Text();
  return true;
}

class Keeper {
 public:
  Keeper(const LeaseEnd& lease, mode_t job_umask) : lease_(lease), spawner_(job_umask) {
    sigset_t children;
    ::sigemptyset(&children);
    ::sigaddset(&children, SIGCHLD);
    signals_ = ::signalfd(-1, &children, SFD_CLOEXEC | SFD_NONBLOCK);
  }

  void Serve() {
    while (signals_ >= 0) {
      pollfd waits[] = {{kSocket, POLLIN, 0}, {signals_, POLLIN, 0}};
      ::poll(waits, 2, WaitMs());
      if (waits[1].revents != 0) Reap();
      if (LeaseIsOut()) {
        lease_out_ = busy_;
        KillBelow();
      }
      if (waits[0].revents != 0 && !Spawn()) break;
    }
    while (busy_) {
      KillBelow();
      Await();
    }
  }

 private:
  bool LeaseIsOut() const {
    const std::uint64_t end = lease_.kill_ns.load(std::memory_order_relaxed);
    const auto now = static_cast<std::uint64_t>(SystemClock().Read().mono.since_start.count());
    return busy_ && end != 0 && end <= now;
  }

  int WaitMs() const {
    if (!busy_) return -1;
    if (lease_out_) return pause_ms_;
    const std::uint64_t end = lease_.kill_ns.load(std::memory_order_relaxed);
    const auto now = static_cast<std::uint64_t>(SystemClock().Read().mono.since_start.count());
    if (end == 0 || end <= now) return kLeaseLookMs;
    return static_cast<int>(std::min<std::uint64_t>((end - now) / 1'000'000 + 1, kLeaseLookMs));
  }

  void Tell(const KeeperWord& word) {
    // The runner reads all the time; if it is gone or stopped, there is nobody to tell.
    const std::size_t size = offsetof(KeeperWord, text) + word.text_bytes;
    while (::send(kSocket, &word, size, MSG_NOSIGNAL) < 0 && errno == EINTR) {
    }
  }

  bool Spawn() {
    Request request;
    if (!ReceiveRequest(request)) return false;
    const auto leader = spawner_.Spawn(request.argv, request.env, request.workspace, request.output);
    ::close(request.output);
    KeeperWord word;
    if (leader) {
      word.kind = KeeperWord::Kind::kSpawned;
      word.leader = *leader;
      leader_ = leader->pid;
      busy_ = true;
      lease_out_ = false;
      pause_ms_ = kKillFirstMs;
    } else {
      word.kind = KeeperWord::Kind::kNotBegun;
      word.code = leader.error().code;
      word.text_bytes = std::min(leader.error().message.size(), word.text.size());
      std::copy_n(leader.error().message.data(), word.text_bytes, word.text.data());
    }
    Tell(word);
    return true;
  }

  // Takes in every dead child before a word goes out: a process that died with the step is not left behind.
  void Reap() {
    signalfd_siginfo info[2];
    if (::read(signals_, info, sizeof(info)) < 0 && errno != EAGAIN) return;
    KeeperWord word;
    bool over = false;
    for (;;) {
      int status = 0;
      rusage usage{};
      const pid_t pid = ::wait4(-1, &status, WNOHANG, &usage);
      if (pid < 0 && errno == EINTR) continue;
      if (pid <= 0) {
        word.alone = pid < 0;
        break;
      }
      if (pid != leader_) continue;
      over = true;
      leader_ = 0;
      word.status = status;
      word.max_rss_bytes = static_cast<std::uint64_t>(usage.ru_maxrss) * 1024;
      for (const timeval& time : {usage.ru_utime, usage.ru_stime})
        word.cpu_us += static_cast<std::uint64_t>(time.tv_sec) * 1'000'000 + static_cast<std::uint64_t>(time.tv_usec);
    }
    if (word.alone) {
      if (!over && !busy_) return;
      busy_ = false;
    }
    if (!over && !word.alone) return;
    word.kind = over ? KeeperWord::Kind::kOver : KeeperWord::Kind::kAlone;
    word.lease_out = lease_out_;
    Tell(word);
  }

  // Kills every process below this one, once; more may be forked meanwhile.
  void KillBelow() {
    bool killed = false;
    bool denied = false;
    for (const Process& process : DescendantsOf(::getpid(), ReadAllProcesses())) {
      if (process.state == 'Z' || process.state == 'X') continue;
      const Signalled sent = SignalExactly(process, SIGKILL);
      killed |= sent != Signalled::kDenied;
      denied |= sent == Signalled::kDenied;
    }
    pause_ms_ = std::min(pause_ms_ * 2, kKillLastMs);
    if (denied && !killed) busy_ = false;  // Those left run as another user: nothing that we do ends them.
  }

  void Await() {
    pollfd wait{signals_, POLLIN, 0};
    ::poll(&wait, 1, pause_ms_);
    Reap();
  }

  const LeaseEnd& lease_;
  Spawner spawner_;
  int signals_ = -1;
  pid_t leader_ = 0;
  bool busy_ = false;  // A process below this one may be alive.
  bool lease_out_ = false;
  int pause_ms_ = kKillFirstMs;
};

}  // namespace

void Keep(int socket, const LeaseEnd& lease, const StepLimits& limits) {
  sigset_t all;
  ::sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, nullptr);
  ::prctl(PR_SET_NAME, "furrow-keeper");
  ::setsid();  // `kill 0` and Ctrl-C of a job's group do not reach the keeper, nor those of the runner's.
  if (socket != kSocket) ::dup2(socket, kSocket);
  ::fcntl(kSocket, F_SETFD, FD_CLOEXEC);
  ::close_range(kSocket + 1, ~0u, 0);  // above all the runner's lock, clients and the sockets of other keepers
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  ::dup2(null, STDIN_FILENO);
  ::dup2(null, STDOUT_FILENO);
  ::setrlimit(RLIMIT_NOFILE, &limits.open_files);
  if (::prctl(PR_SET_CHILD_SUBREAPER, 1) == 0) Keeper(lease, limits.umask).Serve();
  ::_exit(0);
}

}  // namespace furrow::runner
