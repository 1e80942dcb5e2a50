#include "controller/cli/up/daemon.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

#include "common/base/file_io.h"
#include "common/base/process.h"
#include "common/base/program.h"

namespace furrow::cli {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

constexpr milliseconds kFirstPause{50};
constexpr milliseconds kLongestPause{5000};
constexpr auto kSteady = std::chrono::seconds(10);  // A daemon that lived so long starts again after the first pause.

// Between fork and exec, for posix_spawn knows no death signal: only what is allowed after a fork of a program with
// threads.
[[noreturn]] void Become(char* const* argv, int log, int death_signal, pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, death_signal);
  if (::getppid() != parent) ::_exit(1);  // The parent died before prctl.
  ::setpgid(0, 0);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGPIPE, SIG_DFL);
  ::umask(InitialUmask());  // Jobs get what `furrow up` was started with.
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  ::dup2(null, STDIN_FILENO);
  ::dup2(log, STDOUT_FILENO);
  ::dup2(log, STDERR_FILENO);
  ::execv(argv[0], argv);
  const char* why = ::strerror(errno);
  [[maybe_unused]] const ssize_t a = ::write(STDERR_FILENO, "cannot start: ", 14);
  [[maybe_unused]] const ssize_t b = ::write(STDERR_FILENO, why, ::strlen(why));
  [[maybe_unused]] const ssize_t c = ::write(STDERR_FILENO, "\n", 1);
  ::_exit(127);
}

}  // namespace

Result<pid_t> StartDaemon(const DaemonPlan& plan, int death_signal) {
  if (::access(plan.argv[0].c_str(), X_OK) != 0)
    return Fail(Errc::kInternal, "there is no program " + plan.argv[0] + "; it belongs beside furrow");
  const FileHandle log(::open(plan.log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (!log) return tl::unexpected(ErrnoError("cannot open " + plan.log.string(), errno));
  std::vector<char*> argv;
  for (const std::string& word : plan.argv) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) return tl::unexpected(ErrnoError("cannot start " + plan.name, errno));
  if (child == 0) Become(argv.data(), log.Get(), death_signal, parent);
  return child;
}

std::vector<pid_t> RunnersBeneath(const std::string& folder) {
  std::vector<pid_t> runners;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator("/proc", error)) {
    const std::string name = entry.path().filename().string();
    if (name.empty() || name.find_first_not_of("0123456789") != std::string::npos) continue;
    std::ifstream file(entry.path() / "cmdline", std::ios::binary);
    std::ostringstream read;
    read << file.rdbuf();  // A process that ends meanwhile fails the read, which an iterator would throw.
    const std::string line = read.str();
    std::vector<std::string> message;
    for (std::size_t at = 0; at < line.size(); at = line.find('\0', at) + 1) message.push_back(line.c_str() + at);
    if (message.size() < 3 || fs::path(message[0]).filename() != "furrow-runner") continue;
    const auto state = std::find(message.begin(), message.end(), "--state");
    if (state == message.end() || std::next(state) == message.end()) continue;
    if (std::next(state)->starts_with(folder + "/")) runners.push_back(static_cast<pid_t>(std::stol(name)));
  }
  return runners;
}

std::string LastWords(const std::string& log_file) {
  std::ifstream file(log_file);
  std::string line, last;
  while (std::getline(file, line))
    if (!line.empty()) last = line;
  for (const char* mark : {" error: ", " error ", "furrow-controller: ", "furrow-agent: "}) {
    const std::size_t at = last.find(mark);
    if (at != std::string::npos) return last.substr(at + std::strlen(mark));
  }
  return last;
}

Status Daemon::Start() {
  FURROW_ASSIGN(pid_, StartDaemon(plan_, death_signal_));
  started_ = Clock::now();
  return {};
}

bool Daemon::OnExit(pid_t pid, int status, std::string& message) {
  if (pid != pid_ || pid_ == 0) return false;
  pid_ = 0;
  const bool steady = Clock::now() - started_ >= kSteady;
  pause_ = steady || pause_ == milliseconds(0) ? kFirstPause : std::min(2 * pause_, kLongestPause);
  due_ = Clock::now() + pause_;
  message = plan_.name + " " + FormatEnd(status);
  return true;
}

void Daemon::Signal(int number) const {
  if (pid_ != 0) ::kill(pid_, number);
}

}  // namespace furrow::cli
