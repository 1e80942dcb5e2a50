// furrow-runner runs the jobs of one agent and outlives the agent.
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <string>
#include <utility>

#include "agent/runner/keepers.h"
#include "agent/runner/log.h"
#include "agent/runner/recovery.h"
#include "agent/runner/server.h"
#include "agent/runner/socket.h"
#include "common/base/clock.h"
#include "common/base/open_files.h"
#include "common/base/program.h"
#include "common/base/version.h"

namespace furrow::runner {
namespace {

constexpr char kUsage[] =
    "usage: furrow-runner --state DIR [--detach] [--open-files N] [--ready-fd N] [--umask OCTAL]\n"
    "Runs the jobs of the agent whose state folder is DIR. The agent starts it; it ends by itself when it has\n"
    "neither jobs nor an agent. SIGTERM kills its jobs and ends it.\n"
    "  --state DIR    holds runner.sock, runner.journal, runner.lock and runner.log\n"
    "  --detach       go on in the background; messages go to DIR/runner.log\n"
    "  --open-files N the jobs' soft limit of open files; default: that of this program\n"
    "  --ready-fd N   write \"ready\" there, or what went wrong, and close it\n"
    "  --umask OCTAL  what jobs have as their umask; default: what this program is started with\n"
    "  --version      print version and commit\n";
constexpr unsigned kLockPatienceSeconds = 3;
constexpr off_t kMaxLogBytes = 1 << 20;

struct Options {
  std::string state;
  bool detach = false;
  bool detached = false;  // stderr is runner.log
  rlim_t open_files = 0;  // 0: as this process has it
  int ready_fd = -1;
  unsigned job_umask = InitialUmask();
};

// Parses the command line. Returns the exit status of a program that ends at once, or -1 to go on.
int ParseOptions(int argc, char** argv, Options& options) {
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const char* const value = i + 1 < argc ? argv[i + 1] : "";
    if (word == "--help" || word == "-h") return std::fputs(kUsage, stdout), 0;
    if (word == "--version") return std::printf("furrow-runner %s\n", kVersion), 0;
    if (word == "--detach") {
      options.detach = true;
    } else if (word == "--state" && *value) {
      options.state = argv[++i];
    } else if (word == "--ready-fd" &&
               std::from_chars(value, value + std::strlen(value), options.ready_fd).ec == std::errc()) {
      ++i;
    } else if (word == "--umask" &&
               std::from_chars(value, value + std::strlen(value), options.job_umask, 8).ec == std::errc()) {
      ++i;
    } else if (word == "--open-files" &&
               std::from_chars(value, value + std::strlen(value), options.open_files).ec == std::errc()) {
      ++i;
    } else {
      return Say(word + ": not understood\n" + kUsage), 2;
    }
  }
  if (options.state.empty()) return Say(std::string("--state is missing\n") + kUsage), 2;
  return -1;
}

// Drops the starter's descriptors, signal dispositions and signal mask, so that none of them reaches the jobs.
void ShedInheritance(int& ready_fd) {
  if (ready_fd >= 0) {
    ready_fd = ::dup2(ready_fd, STDERR_FILENO + 1);
    if (ready_fd >= 0) ::fcntl(ready_fd, F_SETFD, FD_CLOEXEC);
  }
  ::close_range(static_cast<unsigned>(ready_fd >= 0 ? STDERR_FILENO + 2 : STDERR_FILENO + 1), ~0u, 0);
  for (int number = 1; number < NSIG; ++number) ::signal(number, SIG_DFL);
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGXFSZ, SIG_IGN);  // A write past a file size limit must return an error and not end the runner.
  sigset_t set;
  // A signal that a job sends must not end the runner by its default action, so all are blocked that can be. The kernel
  // lets a fault of our own end it all the same.
  ::sigfillset(&set);
  ::sigprocmask(SIG_SETMASK, &set, nullptr);
}

// Continues as a child of init in a session of its own, with stderr in runner.log.
Status Detach() {
  struct stat info {};
  if (::stat("runner.log", &info) == 0 && info.st_size > kMaxLogBytes) ::rename("runner.log", "runner.log.1");
  const int log = ::open("runner.log", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (log < 0) return tl::unexpected(ErrnoError("cannot open runner.log", errno));
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0) return tl::unexpected(ErrnoError("cannot open /dev/null", errno));
  const pid_t child = ::fork();
  if (child < 0) return tl::unexpected(ErrnoError("cannot fork", errno));
  if (child > 0) ::_exit(0);
  ::setsid();
  ::dup2(null, STDIN_FILENO);
  ::dup2(null, STDOUT_FILENO);
  ::dup2(log, STDERR_FILENO);
  return {};
}

// Locks the state folder for as long as this process lives. The call waits a little for another runner that starts or
// ends, but not for a runner that serves.
Status Lock(const std::string& state) {
  const int fd = ::open("runner.lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return tl::unexpected(ErrnoError("cannot open runner.lock", errno));
  if (::flock(fd, LOCK_EX | LOCK_NB) == 0) return {};
  const auto served = ConnectSocket(".");
  if (served) ::close(*served);
  if (!served) {
    struct sigaction interrupt {};
    interrupt.sa_handler = [](int) {};
    ::sigaction(SIGALRM, &interrupt, nullptr);
    sigset_t alarm;
    ::sigemptyset(&alarm);
    ::sigaddset(&alarm, SIGALRM);
    ::sigprocmask(SIG_UNBLOCK, &alarm, nullptr);
    ::alarm(kLockPatienceSeconds);
    const bool locked = ::flock(fd, LOCK_EX) == 0;
    ::alarm(0);
    ::sigprocmask(SIG_BLOCK, &alarm, nullptr);
    ::signal(SIGALRM, SIG_DFL);
    if (locked) return {};
  }
  return Fail(Errc::kUnavailable, "another furrow-runner serves " + state);
}

// Every running job takes descriptors of the runner. Returns the limit for the jobs, which is not raised.
rlimit RaiseDescriptorLimit(rlim_t open_files) {
  rlimit jobs{};
  if (::getrlimit(RLIMIT_NOFILE, &jobs) != 0) return {OpenFilesAtStart(), RLIM_INFINITY};
  if (open_files > 0) jobs.rlim_cur = std::min(open_files, jobs.rlim_max);
  RaiseOpenFiles();
  return jobs;
}

// Returns the memory of the program's arguments, which the kernel lays out one after the other.
std::pair<char*, std::size_t> MemoryOf(int argc, char** argv) {
  const char* end = argv[0];
  for (int i = 0; i < argc && argv[i] == end; ++i) end += std::strlen(argv[i]) + 1;
  return {argv[0], static_cast<std::size_t>(end - argv[0])};
}

Status Serve(Options& options, std::pair<char*, std::size_t> arguments, int& ready_fd) {
  if (::chdir(options.state.c_str()) != 0) return tl::unexpected(ErrnoError("cannot enter " + options.state, errno));
  if (options.detach) FURROW_TRY(Detach());
  options.detached = options.detach;
  FURROW_TRY(Lock(options.state));
  if (::prctl(PR_SET_CHILD_SUBREAPER, 1) != 0) return tl::unexpected(ErrnoError("cannot become a subreaper", errno));
  const rlimit job_files = RaiseDescriptorLimit(options.open_files);
  const SystemClock clock;
  Table table;
  FURROW_ASSIGN(const auto journal, Journal::Open("runner.journal", table));
  if (journal->lost_bytes() > 0)
    Log("runner.journal: " + std::to_string(journal->lost_bytes()) + " bytes are torn or damaged and are passed over");
  FURROW_TRY(EndLost(table, *journal, clock.Read()));
  Keepers keepers({job_files, static_cast<mode_t>(options.job_umask & 0777)}, arguments);
  Executor executor(table, *journal, keepers);
  FURROW_ASSIGN(const int listener, ListenSocket());
  Server server(listener, keepers.fd(), executor, clock);
  if (ready_fd >= 0) {
    const bool sent = ::write(ready_fd, "ready\n", 6) == 6;
    ::close(std::exchange(ready_fd, -1));
    if (!sent) Log("whoever started this runner is gone already");
  }
  Log("serving " + options.state + " as process " + std::to_string(::getpid()) + ", " + std::to_string(table.size()) +
      " attempts known");
  Status status = server.Run();
  ::unlink(kSocketName);
  Log("nothing left to do: ending");
  return status;
}

int Main(int argc, char** argv) {
  MakeFilesPrivate();
  Options options;
  if (const int status = ParseOptions(argc, argv, options); status >= 0) return status;
  ShedInheritance(options.ready_fd);
  const Status status = Serve(options, MemoryOf(argc, argv), options.ready_fd);
  if (status) return 0;
  options.detached ? Log(status.error().message) : Say(status.error().message);
  if (options.ready_fd >= 0 &&
      ::write(options.ready_fd, status.error().message.data(), status.error().message.size()) < 0)
    return 1;
  return 1;
}

}  // namespace
}  // namespace furrow::runner

int main(int argc, char** argv) {
  return furrow::RunMain({"furrow-runner", 16, 0, 0}, argc, argv, furrow::runner::Main);
}
