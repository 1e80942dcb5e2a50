#include "agent/runner/process_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <unordered_map>
#include <unordered_set>

namespace furrow::runner {
namespace {

std::string ProcPath(pid_t pid, const char* name) {
  return "/proc/" + std::to_string(pid) + "/" + name;
}

// Returns the whole content of a small file of /proc; empty if the file cannot be read.
std::string Slurp(const std::string& path) {
  std::string bytes;
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return bytes;
  char buffer[8192];
  for (;;) {
    const ssize_t got = ::read(fd, buffer, sizeof(buffer));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    bytes.append(buffer, static_cast<std::size_t>(got));
  }
  ::close(fd);
  return bytes;
}

std::string LinkTarget(const std::string& path) {
  char buffer[4096];
  const ssize_t size = ::readlink(path.c_str(), buffer, sizeof(buffer));
  return size < 0 ? std::string() : std::string(buffer, static_cast<std::size_t>(size));
}

// Calls pidfd_open directly, since the <sys/pidfd.h> of glibc 2.36 lacks its extern "C".
int PidfdOpen(pid_t pid) {
  return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
}

bool IsLeader(const Process& process, const Leader& leader) {
  return process.pid == leader.pid && process.start >= leader.earliest && process.start <= leader.latest;
}

// Returns the living processes of `all` that an attempt of a dead runner has left behind.
std::vector<Process> LeftBehind(const std::vector<Leader>& leaders, std::string_view token,
                                const std::vector<Process>& all) {
  std::unordered_set<pid_t> found;
  for (const Leader& leader : leaders) {
    const auto holder = std::find_if(all.begin(), all.end(), [&](const Process& p) { return p.pid == leader.pid; });
    const bool reused = holder != all.end() && !IsLeader(*holder, leader);
    // A session outlives its leader and keeps its number as long as it has processes. The number of an earlier step's
    // session may belong to a stranger by now, so a session without its leader counts only for the last step.
    const bool trusted = holder != all.end() || &leader == &leaders.back();
    if (reused || !trusted) continue;
    for (const Process& p : all) {
      if (IsLeader(p, leader) || (p.session == leader.pid && p.start >= leader.earliest)) found.insert(p.pid);
    }
  }
  const std::uint64_t since = leaders.empty() ? 0 : leaders.front().earliest;
  for (const Process& p : all) {
    if (p.start >= since && TokenOf(p.pid) == token) found.insert(p.pid);
  }
  for (const pid_t root : std::vector<pid_t>(found.begin(), found.end())) {
    for (const Process& p : DescendantsOf(root, all)) found.insert(p.pid);
  }
  std::vector<Process> living;
  for (const Process& p : all) {
    if (found.contains(p.pid) && p.state != 'Z' && p.state != 'X' && p.pid != ::getpid()) living.push_back(p);
  }
  return living;
}

}  // namespace

std::uint64_t TicksSinceBoot() {
  static const auto per_second = static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK));
  std::timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);  // The kernel stamps a fork with this clock; no wait depends on the time.
  return static_cast<std::uint64_t>(now.tv_sec) * per_second +
         static_cast<std::uint64_t>(now.tv_nsec) / (1'000'000'000u / per_second);
}

std::uint64_t BootIdentity() {
  std::uint64_t identity = 0;
  for (const char c : Slurp("/proc/sys/kernel/random/boot_id").substr(0, 18)) {
    const char* const digits = "0123456789abcdef";
    const std::size_t value = std::string_view(digits).find(c);
    if (value != std::string_view::npos) identity = identity << 4 | value;
  }
  return identity;
}

std::optional<Process> ReadProcess(pid_t pid) {
  const std::string stat = Slurp(ProcPath(pid, "stat"));
  const std::size_t name_end = stat.rfind(')');  // The name may contain any character, even a bracket.
  if (name_end == std::string::npos) return std::nullopt;
  Process process;
  process.pid = pid;
  int session = 0;
  int parent = 0;
  unsigned long long start = 0;
  unsigned long long stack = 0;
  if (std::sscanf(
          stat.c_str() + name_end + 1,
          " %c %d %*d %d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu %*u %*d %*u %*u %*u %llu",
          &process.state, &parent, &session, &start, &stack) != 5)
    return std::nullopt;
  process.parent = parent;
  process.session = session;
  process.start = start;
  process.image = stack;
  return process;
}

std::vector<Process> ReadAllProcesses() {
  std::vector<Process> all;
  const std::unique_ptr<DIR, int (*)(DIR*)> proc(::opendir("/proc"), ::closedir);
  if (proc == nullptr) return all;
  while (const dirent* item = ::readdir(proc.get())) {
    const std::string_view name = item->d_name;
    pid_t pid = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (error != std::errc() || end != name.data() + name.size()) continue;
    if (const auto process = ReadProcess(pid)) all.push_back(*process);
  }
  return all;
}

std::string StateMark() {
  struct stat info {};
  if (::stat(".", &info) != 0) return "0.0";
  char text[40];
  std::snprintf(text, sizeof(text), "%llx.%llx", static_cast<unsigned long long>(info.st_dev),
                static_cast<unsigned long long>(info.st_ino));
  return text;
}

std::string TokenOf(pid_t pid) {
  constexpr std::string_view kKey = "FURROW_TOKEN=";
  const std::string environment = Slurp(ProcPath(pid, "environ"));
  for (std::size_t at = 0; at < environment.size();) {
    const std::size_t end = std::min(environment.find('\0', at), environment.size());
    const std::string_view item = std::string_view(environment).substr(at, end - at);
    if (item.starts_with(kKey)) return std::string(item.substr(kKey.size()));
    at = end + 1;
  }
  return {};
}

std::vector<Process> DescendantsOf(pid_t root, const std::vector<Process>& all) {
  std::unordered_multimap<pid_t, const Process*> by_parent;
  for (const Process& p : all) by_parent.emplace(p.parent, &p);
  std::vector<Process> found;
  std::unordered_set<pid_t> visited{root};  // /proc is not read at one instant: pids may seem to form a ring.
  std::vector<pid_t> open{root};
  while (!open.empty()) {
    const auto [from, to] = by_parent.equal_range(open.back());
    open.pop_back();
    for (auto it = from; it != to; ++it) {
      if (!visited.insert(it->second->pid).second) continue;
      found.push_back(*it->second);
      open.push_back(it->second->pid);
    }
  }
  return found;
}

std::optional<bool> IsBelow(pid_t process, pid_t root) {
  while (process > 1) {
    const auto found = ReadProcess(process);
    if (!found) return std::nullopt;
    if (found->parent == root) return true;
    // A process that is reaped while its file is read has no parent any more: it cannot be opened again then. Any other
    // without a parent came from outside of this container.
    if (found->parent == 0 && !ReadProcess(process)) return std::nullopt;
    process = found->parent;
  }
  return false;
}

bool MayBeAJobs(pid_t sender, uid_t user, pid_t runner, pid_t parent, bool busy) {
  if (user != ::getuid()) return false;
  return IsBelow(sender, runner).value_or(busy && sender != parent);
}

Signalled SignalExactly(const Process& process, int signal) {
  const int fd = PidfdOpen(process.pid);
  if (fd < 0) return Signalled::kGone;
  Signalled result = Signalled::kGone;
  const auto holder = ReadProcess(process.pid);  // The descriptor pins the pid, so both name the same process.
  if (holder && holder->start == process.start) {
    if (::syscall(SYS_pidfd_send_signal, fd, signal, nullptr, 0) == 0)
      result = Signalled::kSent;
    else if (errno == EPERM)
      result = Signalled::kDenied;
  }
  ::close(fd);
  return result;
}

std::size_t KillLeftBehind(const std::vector<Leader>& leaders, std::string_view token, int patience_ms) {
  using std::chrono::milliseconds;
  using Clock = std::chrono::steady_clock;  // This wait happens before the loop and its clock exist.
  const auto deadline = Clock::now() + milliseconds(patience_ms);
  for (;;) {
    const std::vector<Process> living = LeftBehind(leaders, token, ReadAllProcesses());
    if (living.empty()) return 0;
    std::vector<pollfd> waits;
    for (const Process& p : living) {
      SignalExactly(p, SIGKILL);
      const int fd = PidfdOpen(p.pid);
      if (fd >= 0) waits.push_back({fd, POLLIN, 0});
    }
    bool late = false;
    for (const pollfd& wait : waits) {  // A descriptor becomes readable when its process dies.
      pollfd one = wait;
      const auto left = std::chrono::duration_cast<milliseconds>(deadline - Clock::now()).count();
      late = ::poll(&one, 1, static_cast<int>(std::max<long long>(left, 0))) == 0 || late;
      ::close(wait.fd);
    }
    if (late) return LeftBehind(leaders, token, ReadAllProcesses()).size();
  }
}

std::vector<Stray> FindStrays() {
  const std::string mark = "-" + StateMark() + "-";
  const std::string here = LinkTarget("/proc/self/cwd");
  const std::vector<Process> all = ReadAllProcesses();
  std::unordered_map<pid_t, Stray> found;
  const auto add = [&](const Process& process) {
    if (process.state == 'Z' || process.state == 'X' || process.pid == ::getpid()) return;
    found.try_emplace(process.pid, Stray{process, TokenOf(process.pid), LinkTarget(ProcPath(process.pid, "fd/1"))});
  };
  for (const Process& process : all) {
    const bool keeper =
        Slurp(ProcPath(process.pid, "comm")) == "furrow-keeper\n" && LinkTarget(ProcPath(process.pid, "cwd")) == here;
    if (!keeper && TokenOf(process.pid).find(mark) == std::string::npos) continue;
    for (const Process& below : DescendantsOf(process.pid, all)) add(below);
    add(process);
  }
  std::vector<Stray> strays;
  for (auto& [pid, stray] : found) strays.push_back(std::move(stray));
  return strays;
}

std::vector<Stray> KillStrays(int patience_ms) {
  using std::chrono::milliseconds;
  using Clock = std::chrono::steady_clock;  // This wait happens before the loop and its clock exist.
  const auto deadline = Clock::now() + milliseconds(patience_ms);
  std::vector<Stray> seen;
  for (;;) {
    const std::vector<Stray> strays = FindStrays();
    if (strays.empty()) return seen;
    for (const Stray& stray : strays) {
      const auto known = std::find_if(seen.begin(), seen.end(), [&](const Stray& one) {
        return one.process.pid == stray.process.pid && one.process.start == stray.process.start;
      });
      if (known == seen.end()) seen.push_back(stray);
      const int fd = PidfdOpen(stray.process.pid);
      SignalExactly(stray.process, SIGKILL);
      if (fd < 0) continue;
      pollfd wait{fd, POLLIN, 0};  // A descriptor becomes readable when its process dies.
      const auto left = std::chrono::duration_cast<milliseconds>(deadline - Clock::now()).count();
      ::poll(&wait, 1, static_cast<int>(std::clamp<long long>(left, 0, 1000)));
      ::close(fd);
    }
    if (Clock::now() >= deadline) return seen;
  }
}

Children::Children() : fd_(::open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC)) {}

Children::~Children() {
  if (fd_ >= 0) ::close(fd_);
}

std::vector<pid_t> Children::Read() {
  std::vector<pid_t> pids;
  if (fd_ < 0) {
    const pid_t self = ::getpid();
    for (const Process& p : ReadAllProcesses()) {
      if (p.parent == self) pids.push_back(p.pid);
    }
    return pids;
  }
  char buffer[4096];
  std::string text;
  for (off_t at = 0;;) {
    const ssize_t got = ::pread(fd_, buffer, sizeof(buffer), at);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    text.append(buffer, static_cast<std::size_t>(got));
    at += got;
    if (static_cast<std::size_t>(got) < sizeof(buffer) / 2) break;  // A short read is the last one.
  }
  const char* p = text.data();
  const char* const end = p + text.size();
  while (p < end) {
    pid_t pid = 0;
    const auto [next, error] = std::from_chars(p, end, pid);
    if (error == std::errc()) pids.push_back(pid);
    p = next + 1;
  }
  return pids;
}

}  // namespace furrow::runner
