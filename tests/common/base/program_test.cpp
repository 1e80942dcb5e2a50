// The process around a program: what it was started with, and what becomes of its output and exceptions.
#include "common/base/program.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <functional>
#include <new>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>

#include "common/base/user_folders.h"

using namespace furrow;

namespace {

constexpr Program kProgram{"prog", 8, 0, 1};

struct Ended {
  int status = 0;  // 256 + N: signal N
  std::string err;
};

// Runs `prepare` and then RunMain in a child.
Ended InChild(const std::function<void()>& prepare, int (*main)(int, char**), const Program& program = kProgram) {
  int err[2];
  REQUIRE(::pipe(err) == 0);
  std::fflush(stdout);
  const pid_t child = ::fork();
  if (child == 0) {
    ::dup2(err[1], STDERR_FILENO);
    ::close(err[0]);
    ::close(err[1]);
    prepare();
    char name[] = "prog";
    char* argv[] = {name, nullptr};
    ::_exit(RunMain(program, 1, argv, main));
  }
  ::close(err[1]);
  Ended ended;
  char buffer[4096];
  for (ssize_t got = 0; (got = ::read(err[0], buffer, sizeof(buffer))) > 0;)
    ended.err.append(buffer, static_cast<std::size_t>(got));
  ::close(err[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  ended.status = WIFSIGNALED(status) ? 256 + WTERMSIG(status) : WEXITSTATUS(status);
  return ended;
}

int Prints(int, char**) {
  std::puts("text");
  return 0;
}

}  // namespace

TEST_CASE("program: descriptors that were closed are open, and no file gets their numbers") {
  for (const int closed : {0, 1}) {
    CAPTURE(closed);
    const Ended ended = InChild([closed] { ::close(closed); },
                                [](int, char**) {
                                  const int fd = ::open("/dev/null", O_RDONLY);
                                  return fd > STDERR_FILENO ? 0 : 9;
                                });
    CHECK(ended.status == 0);
  }
  CHECK(InChild([] { ::close(STDERR_FILENO); }, [](int, char**) { return ::open("/dev/null", O_RDONLY) > 2 ? 0 : 9; })
            .status == 0);
}

TEST_CASE("program: output that cannot be written is an error, said once, with its reason") {
  const auto full = [] { ::dup2(::open("/dev/full", O_WRONLY), STDOUT_FILENO); };
  const Ended ended = InChild(full, Prints);
  CHECK(ended.status == 1);
  CHECK(ended.err == "prog: cannot write to stdout: No space left on device\n");
  CHECK(InChild([] { ::close(STDOUT_FILENO); }, Prints).err == "prog: cannot write to stdout: Bad file descriptor\n");
  const Ended failed = InChild(full, [](int, char**) {
    std::puts("text");
    return 4;
  });
  CHECK(failed.status == 4);
}

TEST_CASE("program: what is thrown is told in words, in a thread too") {
  const auto nothing = [] {};
  const Ended memory = InChild(nothing, [](int, char**) -> int { throw std::bad_alloc(); });
  CHECK(memory.status == 1);
  CHECK(memory.err.starts_with("prog: out of memory"));
  const Ended system = InChild(
      nothing, [](int, char**) -> int { throw std::system_error(ENOENT, std::generic_category(), "cannot look"); });
  CHECK(system.status == 1);
  CHECK(system.err == "prog: cannot look: No such file or directory\n");
  const Ended thread = InChild(nothing, [](int, char**) {
    std::thread([] { throw std::bad_alloc(); }).join();
    return 0;
  });
  CHECK(thread.status == 1);
  CHECK(thread.err.starts_with("prog: out of memory"));
  const Ended ours = InChild(nothing, [](int, char**) {
    std::thread([] { throw std::logic_error("a mistake"); }).join();
    return 0;
  });
  CHECK(ours.status == 256 + SIGABRT);
  CHECK(ours.err == "prog: ends on an exception: a mistake\n");
}

TEST_CASE("program: signals that were ignored or blocked at the start are heard") {
  const Ended ended = InChild(
      [] {
        for (const int number : {SIGCHLD, SIGTERM}) std::signal(number, SIG_IGN);
        sigset_t all;
        ::sigfillset(&all);
        ::sigprocmask(SIG_SETMASK, &all, nullptr);
      },
      [](int, char**) {
        const pid_t child = ::fork();
        if (child == 0) ::_exit(7);
        int status = 0;
        if (::waitpid(child, &status, 0) != child || WEXITSTATUS(status) != 7) return 9;
        ::raise(SIGTERM);
        return 8;
      });
  CHECK(ended.status == 256 + SIGTERM);
}

TEST_CASE("program: too small limits are refused in words, a small soft limit is raised") {
  const auto with = [](rlim_t soft, rlim_t hard) {
    return [soft, hard] {
      const rlimit limit{soft, hard};
      ::setrlimit(RLIMIT_NOFILE, &limit);
    };
  };
  const Program needs{"prog", 100, 0, 1};
  const auto open_many = [](int, char**) {
    for (int i = 0; i < 60; ++i)
      if (::dup(STDERR_FILENO) < 0) return 9;
    return 0;
  };
  CHECK(InChild(with(20, 4096), open_many, needs).status == 0);
  const Ended refused = InChild(with(20, 20), open_many, needs);
  CHECK(refused.status == 1);
  CHECK(refused.err == "prog: cannot run with 20 open files, the limit here; it needs 100 (ulimit -n, LimitNOFILE=)\n");
}

TEST_CASE("program: a small stack is refused in words, and a limit of a file's size is an error of the write") {
  const auto stack = [] {
    const rlimit limit{64 << 10, 64 << 10};
    ::setrlimit(RLIMIT_STACK, &limit);
  };
  const Ended small = InChild(stack, [](int, char**) { return 0; });
  CHECK(small.status == 1);
  CHECK(small.err ==
        "prog: cannot run with 64 KiB of stack, the limit here; it needs 512 KiB (ulimit -s, LimitSTACK=)\n");

  const auto file = [] {
    ::dup2(::fileno(std::tmpfile()), STDOUT_FILENO);
    const rlimit limit{0, 0};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  };
  const Ended cut = InChild(file, Prints);
  CHECK(cut.status == 1);
  CHECK(cut.err == "prog: cannot write to stdout: File too large\n");
}

TEST_CASE("program: files that were open at the start count, and are made up for where the hard limit lets them") {
  const auto with = [](rlim_t hard) {
    return [hard] {
      for (int i = 0; i < 50; ++i) ::dup(STDERR_FILENO);
      const rlimit limit{80, hard};
      ::setrlimit(RLIMIT_NOFILE, &limit);
    };
  };
  const Program needs{"prog", 80, 0, 1};
  const auto open_many = [](int, char**) {
    for (int i = 0; i < 77; ++i)
      if (::dup(STDERR_FILENO) < 0) return 9;
    return 0;
  };
  CHECK(InChild(with(4096), open_many, needs).status == 0);
  const Ended refused = InChild(with(100), open_many, needs);
  CHECK(refused.status == 1);
  CHECK(refused.err ==
        "prog: cannot open 77 files, which it needs, beside those that it was started with: the limit here is 100 "
        "(ulimit -n, LimitNOFILE=)\n");
}

TEST_CASE("program: every line that is said has the program's name, and nothing that moves a cursor") {
  const Ended ended = InChild([] {},
                              [](int, char**) {
                                Say("one \x1b[2J\n\ntwo \u202e x\n");
                                return 0;
                              });
  CHECK(ended.err == "prog: one ?[2J\nprog:\nprog: two ? x\n");
}

TEST_CASE("program: private files are private whatever the umask was, and the umask is kept for others") {
  for (const mode_t umask : {mode_t{0}, mode_t{022}, mode_t{0777}}) {
    CAPTURE(umask);
    static mode_t expected;
    expected = umask;
    const Ended ended = InChild([umask] { ::umask(umask); },
                                [](int, char**) {
                                  MakeFilesPrivate();
                                  const mode_t now = ::umask(0);
                                  return now == 077 && InitialUmask() == expected ? 0 : 9;
                                });
    CHECK(ended.status == 0);
  }
}

TEST_CASE("user folders: none is ever relative") {
  const auto with = [](const char* home, const char* cache, const char* temporary) {
    ::setenv("HOME", home, 1);
    ::setenv("XDG_CACHE_HOME", cache, 1);
    ::setenv("TMPDIR", temporary, 1);
  };
  for (const char* relative : {"", ".", "folder", "./x", "../x"}) {
    CAPTURE(relative);
    with(relative, relative, relative);
    const auto home = HomeFolder();
    CHECK((!home || home->is_absolute()));
    const auto cache = CacheFolder();
    CHECK((!cache || cache->is_absolute()));
    CHECK(FolderForTemporaries() == "/tmp");
  }
  with("/srv/me", "", "/proc/nonexistent");
  CHECK(HomeFolder().value() == "/srv/me");
  CHECK(CacheFolder().value() == "/srv/me/.cache");
  CHECK(FolderForTemporaries() == "/tmp");
  with("/srv/me", "/srv/cache", "/");
  CHECK(CacheFolder().value() == "/srv/cache");
  CHECK(FolderForTemporaries() == "/");
}
