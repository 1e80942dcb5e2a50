#include "agent/runner/keepers.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>

#include "agent/runner/log.h"
#include "agent/runner/wire.h"
#include "common/base/check.h"

namespace furrow::runner {
namespace {

constexpr std::size_t kIdleMost = 16;  // More idle keepers than this are let go.
constexpr int kStopRounds = 20;
constexpr timeval kPatience{10, 0};  // A keeper reads at once, unless it was stopped or the machine swaps.

LeaseEnd* SharedLease() {
  void* const memory = ::mmap(nullptr, sizeof(LeaseEnd), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  FURROW_CHECK(memory != MAP_FAILED, "out of memory at start");
  return new (memory) LeaseEnd;
}

bool SendPacket(int socket, const char* bytes, std::size_t size, int descriptor) {
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  iovec part{const_cast<char*>(bytes), size};  // sendmsg lacks const.
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (descriptor >= 0) {
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    cmsghdr* const head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(head), &descriptor, sizeof(int));
  }
  ssize_t put = 0;
  do {
    put = ::sendmsg(socket, &message, MSG_NOSIGNAL);
  } while (put < 0 && errno == EINTR);
  return put == static_cast<ssize_t>(size);
}

}  // namespace

Keepers::Keepers(const StepLimits& limits, std::pair<char*, std::size_t> arguments)
    : limits_(limits), arguments_(arguments), lease_(SharedLease()), epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
  FURROW_CHECK(epoll_ >= 0, "out of descriptors or memory at start");
}

Keepers::~Keepers() {
  for (const auto& [pid, keeper] : keepers_) ::close(keeper.socket);  // The keepers end, each with what is below it.
  ::close(epoll_);
  ::munmap(lease_, sizeof(LeaseEnd));
}

Result<Keepers::Keeper*> Keepers::Fork() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
    return tl::unexpected(ErrnoError("cannot make a socket for a job", errno));
  ::setsockopt(ends[0], SOL_SOCKET, SO_SNDTIMEO, &kPatience, sizeof(kPatience));
  const pid_t pid = ::fork();
  if (pid == 0) {
    std::memset(arguments_.first, 0, arguments_.second);
    std::strncpy(arguments_.first, "furrow-keeper", arguments_.second - 1);
    Keep(ends[1], *lease_, limits_);
  }
  ::close(ends[1]);
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = ends[0];
  if (pid < 0 || ::epoll_ctl(epoll_, EPOLL_CTL_ADD, ends[0], &event) != 0) {
    ::close(ends[0]);
    return tl::unexpected(ErrnoError("this agent is out of processes or memory: cannot fork", errno));
  }
  Keeper& keeper = keepers_[pid];
  keeper.pid = pid;
  keeper.socket = ends[0];
  return &keeper;
}

Result<Keepers::Keeper*> Keepers::Find(const AttemptRef& ref) {
  Keeper* idle = nullptr;
  for (auto& [pid, keeper] : keepers_) {
    if (keeper.ref == ref) return &keeper;
    if (!keeper.ref) idle = &keeper;
  }
  if (idle != nullptr) return idle;
  return Fork();
}

// Takes in one word of the keeper. Returns false if there is none.
bool Keepers::Hear(Keeper& keeper) {
  ssize_t got = 0;
  do {
    got = ::recv(keeper.socket, &word_, sizeof(word_), MSG_DONTWAIT);
  } while (got < 0 && errno == EINTR);
  if (got < static_cast<ssize_t>(offsetof(KeeperWord, text))) return false;
  if (!keeper.ref) return true;
  KeeperEvent event;
  event.ref = *keeper.ref;
  event.lease_out = word_.lease_out;
  switch (word_.kind) {
    case KeeperWord::Kind::kSpawned:
      event.kind = KeeperEvent::Kind::kSpawned;
      event.leader = word_.leader;
      keeper.alone = keeper.asked = false;
      break;
    case KeeperWord::Kind::kNotBegun:
      event.kind = KeeperEvent::Kind::kNotBegun;
      event.error = {word_.code, std::string(word_.text.data(), word_.text_bytes)};
      keeper.asked = false;
      break;
    case KeeperWord::Kind::kOver:
      event.kind = KeeperEvent::Kind::kOver;
      event.status = word_.status;
      event.max_rss_bytes = word_.max_rss_bytes;
      event.cpu_us = word_.cpu_us;
      keeper.alone = word_.alone;
      break;
    case KeeperWord::Kind::kAlone: keeper.alone = true; break;
  }
  events_.push_back(std::move(event));
  return true;
}

Status Keepers::Spawn(const AttemptRef& ref, const std::vector<std::string>& argv, const std::vector<std::string>& env,
                      const std::string& workspace, int output) {
  std::string bytes(sizeof(std::uint64_t), '\0');
  Writer writer(bytes);
  writer.Texts(argv);
  writer.Texts(env);
  writer.Text(workspace);
  const std::uint64_t size = bytes.size() - sizeof(size);
  std::memcpy(bytes.data(), &size, sizeof(size));
  for (;;) {
    FURROW_ASSIGN(Keeper* const keeper, Find(ref));
    bool sent = true;
    for (std::size_t at = 0; sent && at < bytes.size(); at += kKeeperPacketBytes)
      sent = SendPacket(keeper->socket, bytes.data() + at, std::min(bytes.size() - at, kKeeperPacketBytes),
                        at == 0 ? output : -1);
    if (sent) {
      keeper->ref = ref;
      keeper->asked = true;
      return {};
    }
    ::kill(keeper->pid, SIGKILL);  // It is dead already or hopelessly stopped; Reap sees its end.
    if (keeper->ref) return Fail(Errc::kUnavailable, "the job's parent process (furrow-keeper) was killed or stopped");
    ::close(keeper->socket);  // An idle keeper that was killed meanwhile costs nobody a job.
    keepers_.erase(keeper->pid);
  }
}

void Keepers::Reap() {
  for (;;) {
    int status = 0;
    const pid_t pid = ::waitpid(-1, &status, WNOHANG | WUNTRACED);
    if (pid < 0 && errno == EINTR) continue;
    if (pid <= 0) return;
    if (WIFSTOPPED(status)) {  // A job may stop its keeper, but not its own end.
      if (keepers_.contains(pid)) ::kill(pid, SIGCONT);
      continue;
    }
    not_ours_.erase(pid);
    const auto it = keepers_.find(pid);
    if (it == keepers_.end()) continue;
    Keeper& keeper = it->second;
    while (Hear(keeper)) {
    }
    if (keeper.ref) {
      bereft_.insert(*keeper.ref);
      KeeperEvent event;
      event.ref = *keeper.ref;
      event.kind = KeeperEvent::Kind::kDied;
      event.status = status;
      events_.push_back(std::move(event));
    }
    ::close(keeper.socket);  // close also removes the descriptor from epoll.
    keepers_.erase(it);
  }
}

std::vector<KeeperEvent> Keepers::Take() {
  epoll_event ready[32];
  const int count = ::epoll_wait(epoll_, ready, std::size(ready), 0);
  for (int i = 0; i < count; ++i) {
    const auto at = std::find_if(keepers_.begin(), keepers_.end(),
                                 [&](const auto& one) { return one.second.socket == ready[i].data.fd; });
    if (at != keepers_.end()) Hear(at->second);
  }
  if (!bereft_.empty() && !KillOrphans()) {
    for (const AttemptRef& ref : bereft_) {
      KeeperEvent event;
      event.ref = ref;
      events_.push_back(std::move(event));
    }
  }
  return std::exchange(events_, {});
}

bool Keepers::Alone(const AttemptRef& ref) {
  if (bereft_.contains(ref)) return !KillOrphans();
  const auto at =
      std::find_if(keepers_.begin(), keepers_.end(), [&](const auto& one) { return one.second.ref == ref; });
  return at == keepers_.end() || at->second.alone;
}

void Keepers::Signal(const Process& process, int signal, bool& denied, bool& others) {
  if (process.state == 'Z' || process.state == 'X') return;
  const Signalled sent = SignalExactly(process, signal);
  (sent == Signalled::kDenied ? denied : others) = true;
  if (sent != Signalled::kDenied || std::exchange(not_ours_[process.pid], process.start) == process.start) return;
  Log("process " + std::to_string(process.pid) + " of a job runs as another user and may not be killed by us");
}

std::vector<Process> Keepers::Below(const AttemptRef& ref) const {
  for (const auto& [pid, keeper] : keepers_)
    if (keeper.ref == ref) return DescendantsOf(pid, ReadAllProcesses());
  return {};
}

// Stops every process of the attempt, in rounds: one that still runs may fork. Returns the last look at them.
std::vector<Process> Keepers::StopAll(const AttemptRef& ref) {
  std::vector<Process> there;
  for (int round = 0; round < kStopRounds; ++round) {
    there = Below(ref);
    std::erase_if(there, [](const Process& one) { return one.state == 'Z' || one.state == 'X'; });
    bool running = false;
    for (const Process& one : there) {
      if (one.state == 'T' || one.state == 't') continue;
      running |= SignalExactly(one, SIGSTOP) == Signalled::kSent;
    }
    if (!running) break;
  }
  return there;
}

void Keepers::TerminateAll(const AttemptRef& ref) {
  const std::vector<Process> there = StopAll(ref);
  bool denied = false;
  bool others = false;
  for (const Process& one : there) Signal(one, SIGTERM, denied, others);
  for (const Process& one : there) SignalExactly(one, SIGCONT);
  std::vector<Terminated>& terminated = terminated_[ref];
  for (const Process& one : there) {
    const bool forked = std::any_of(there.begin(), there.end(), [&](const Process& parent) {
      return parent.pid == one.parent && parent.image == one.image;  // An exec changes the image.
    });
    terminated.push_back({one, forked});
  }
}

void Keepers::TerminateLate(const AttemptRef& ref) {
  for (Terminated& one : terminated_[ref]) {
    if (!one.unborn) continue;
    const auto now = ReadProcess(one.process.pid);
    one.unborn = now && now->start == one.process.start && now->image == one.process.image;
    if (!one.unborn) SignalExactly(one.process, SIGTERM);
  }
}

bool Keepers::TerminatedLive(const AttemptRef& ref) {
  std::erase_if(terminated_[ref], [](const Terminated& one) {
    const auto now = ReadProcess(one.process.pid);
    return !now || now->start != one.process.start || now->state == 'Z' || now->state == 'X';
  });
  return !terminated_[ref].empty();
}

// Signals every process of the attempt. Returns whether those that are left may not be signalled.
bool Keepers::SignalAll(const AttemptRef& ref, int signal) {
  bool denied = false;
  bool others = false;
  for (const Process& process : Below(ref)) Signal(process, signal, denied, others);
  return denied && !others;
}

void Keepers::KillAll(const AttemptRef& ref) {
  const bool hopeless = SignalAll(ref, SIGKILL);
  // Nobody waits for what we cannot end, nor for what a keeper is about to start.
  for (const auto& [pid, keeper] : keepers_)
    if (keeper.ref == ref && (hopeless || keeper.asked)) ::kill(pid, SIGKILL);
}

// Kills what dead keepers have left behind: this process is a subreaper, too. Returns whether something is left.
bool Keepers::KillOrphans() {
  bool left = false;
  std::vector<Process> all;
  for (const pid_t pid : children_.Read()) {
    if (keepers_.contains(pid)) continue;
    const auto process = ReadProcess(pid);
    if (!process || process->state == 'Z' || process->state == 'X') continue;
    const auto known = not_ours_.find(pid);
    if (known != not_ours_.end() && known->second == process->start) continue;
    if (all.empty()) all = ReadAllProcesses();
    bool denied = false;
    Signal(*process, SIGKILL, denied, left);
    for (const Process& below : DescendantsOf(pid, all)) Signal(below, SIGKILL, denied, left);
  }
  return left;
}

void Keepers::Release(const AttemptRef& ref) {
  bereft_.erase(ref);
  terminated_.erase(ref);
  std::size_t idle = 0;
  for (const auto& [pid, keeper] : keepers_) idle += keeper.ref ? 0 : 1;
  for (auto it = keepers_.begin(); it != keepers_.end(); ++it) {
    if (it->second.ref != ref) continue;
    if (idle < kIdleMost) {
      it->second.ref.reset();
    } else {
      ::close(it->second.socket);
      keepers_.erase(it);
    }
    return;
  }
}

}  // namespace furrow::runner
