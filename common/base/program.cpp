#include "common/base/program.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <latch>
#include <new>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "common/base/open_files.h"
#include "common/base/text.h"

namespace furrow {
namespace {

constexpr int kFailed = 1;
constexpr mode_t kPrivate = 077;
constexpr unsigned kStandardStreams = 3;
constexpr rlim_t kStack = 512 << 10;

const char* program_name = "furrow";  // in front of messages
mode_t initial_umask = 022;
std::atomic<int> output_error{0};

void OpenStandardStreams() {
  struct Stream {
    int fd, flags;
  };
  // Nothing is read from a stdin that was closed, and a write to such a stdout fails with EBADF, as it should.
  for (const auto& [fd, flags] :
       {Stream{STDIN_FILENO, O_RDONLY}, Stream{STDOUT_FILENO, O_RDONLY}, Stream{STDERR_FILENO, O_WRONLY}}) {
    if (::fcntl(fd, F_GETFD) >= 0 || errno != EBADF) continue;
    const int opened = ::open("/dev/null", flags);  // The lowest number that is free is this one.
    if (opened >= 0 && opened != fd) ::close(opened);
  }
}

void ResetSignals() {
  // Whoever waits for children or is to be stopped must hear of it; a shell ignores SIGINT for what runs in the
  // background, and nohup SIGHUP, on purpose.
  for (const int number : {SIGCHLD, SIGTERM, SIGABRT}) std::signal(number, SIG_DFL);
  std::signal(SIGXFSZ, SIG_IGN);  // A limit of a file's size is an error of the write, like a full disk.
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

// Says what the exception that is being handled means to a person. True: the machine or its limits failed, not our
// code.
bool ExplainException() {
  try {
    throw;
  } catch (const std::bad_alloc&) {
    std::fprintf(stderr, "%s: out of memory (ulimit -v, or the machine's)\n", program_name);
    return true;
  } catch (const std::system_error& error) {  // filesystem_error, too
    Say(error.what());
    return true;
  } catch (const std::exception& error) {
    Say(std::string("ends on an exception: ") + error.what());
  } catch (...) {
    Say("ends on an exception without words");
  }
  return false;
}

// A thread has thrown. The process cannot go on, but what its machine refused is no reason for a crash.
[[noreturn]] void Terminate() {
  if (std::current_exception() != nullptr && ExplainException()) std::_Exit(kFailed);
  std::abort();
}

bool CanHaveThreads(unsigned count) {
  std::latch done(1);
  std::vector<std::jthread> threads;
  try {
    for (unsigned i = 0; i < count; ++i) threads.emplace_back([&done] { done.wait(); });
  } catch (const std::system_error&) {
    done.count_down();
    return false;
  }
  done.count_down();
  return true;
}

// Returns why the program cannot run within its limits; empty: it can. A soft limit of open files is raised as far as
// needed.
std::string Lacks(const Program& program) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_STACK, &limit) == 0 && limit.rlim_cur < kStack)  // of each thread, too
    return "cannot run with " + std::to_string(limit.rlim_cur >> 10) + " KiB of stack, the limit here; it needs " +
           std::to_string(kStack >> 10) + " KiB (ulimit -s, LimitSTACK=)";
  RaiseOpenFiles(program.files);
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < program.files)
    return "cannot run with " + std::to_string(limit.rlim_max) + " open files, the limit here; it needs " +
           std::to_string(program.files) + " (ulimit -n, LimitNOFILE=)";
  // What was inherited open takes from the limit.
  const auto own = static_cast<unsigned>(program.files - std::min<std::uint64_t>(program.files, kStandardStreams));
  if (!CanOpenFiles(own)) RaiseOpenFiles(limit.rlim_cur + own);
  if (!CanOpenFiles(own))
    return "cannot open " + std::to_string(own) +
           " files, which it needs, beside those that it was started with: the " + "limit here is " +
           std::to_string(limit.rlim_max) + " (ulimit -n, LimitNOFILE=)";
  if (::getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur < program.memory)
    return "cannot run with " + std::to_string(limit.rlim_cur >> 20) +
           " MiB of address space, the limit here; it needs " + std::to_string(program.memory >> 20) +
           " MiB (ulimit -v, LimitAS=)";
  if (!CanHaveThreads(program.threads))
    return "cannot have " + std::to_string(program.threads) + " threads, which it needs (ulimit -u, TasksMax=)";
  return {};
}

}  // namespace

void NoteOutputError(int number) {
  int none = 0;
  output_error.compare_exchange_strong(none, number);
}

int OutputError() {
  return output_error;
}

mode_t InitialUmask() {
  return initial_umask;
}

void MakeFilesPrivate() {
  ::umask(kPrivate);
}

void Say(std::string_view text) {
  while (text.ends_with('\n')) text.remove_suffix(1);
  std::string lines;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string line = PlainLines(text.substr(at, end - at));
    lines += std::string(program_name) + ":" + (line.empty() ? "" : " ") + line + "\n";
    at = end + 1;
  }
  std::fputs(lines.c_str(), stderr);
}

int RunMain(const Program& program, int argc, char** argv, int (*main)(int, char**)) {
  program_name = program.name;
  OpenStandardStreams();
  ResetSignals();
  initial_umask = ::umask(kPrivate);
  ::umask(initial_umask);
  std::set_terminate(Terminate);
  char* nameless[] = {const_cast<char*>(program.name), nullptr};
  if (argc < 1 || argv[0] == nullptr) {
    argc = 1;
    argv = nameless;
  }
  int status = kFailed;
  try {
    if (const std::string lacks = Lacks(program); !lacks.empty())
      Say(lacks);
    else
      status = main(argc, argv);
  } catch (...) {
    static_cast<void>(ExplainException());
  }
  if (std::fflush(stdout) != 0) NoteOutputError(errno);
  if (std::ferror(stdout) != 0) NoteOutputError(EIO);  // an earlier write, whose reason nobody noted
  if (const int number = OutputError(); number != 0) {
    Say(std::string("cannot write to stdout: ") + std::strerror(number));
    if (status == 0) status = kFailed;
  }
  return status;
}

}  // namespace furrow
