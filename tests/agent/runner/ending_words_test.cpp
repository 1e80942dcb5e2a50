#include "agent/runner/ending_words.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <csignal>
#include <cstring>
#include <fstream>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "tests/agent/runner/fixture.h"

using namespace furrow;
using namespace furrow::runner;
using namespace furrow::runner::testing;

namespace {

std::string Words(int code, std::string_view log = "", std::uint64_t oom_kills = 0) {
  return EndInWords({{OutcomeKind::kExited, code, ""}, log, "/", oom_kills, 3ull << 30});
}

bool Says(const std::string& text, const std::string& part) {
  const bool says = text.find(part) != std::string::npos;
  CHECK_MESSAGE(says, "`" << part << "` is not in: " << text);
  return says;
}

}  // namespace

TEST_CASE("ending: an exit status that is the program's own needs no words") {
  for (const int code : {0, 1, 2, 3, 42, 75, 100, 123, 128, 192, 200, 254, 255}) CHECK(Words(code).empty());
}

TEST_CASE("ending: a signal has the same words as the shell's 128 + n, which a script may say of itself") {
  for (int number = 1; number <= SIGSYS; ++number) {
    const std::string words = EndInWords({{OutcomeKind::kSignaled, number, ""}, "", "/", 0, 3ull << 30});
    Says(Words(128 + number), words);
    CHECK_FALSE(words.empty());
    Says(words, std::string("SIG") + ::sigabbrev_np(number));
  }
}

TEST_CASE("ending: 137 says whether memory was short, and what to do in either case") {
  Says(Words(137, "", 1), "for want of memory");
  Says(Words(137, "", 1), "3.0 GiB");
  Says(Words(137, "", 1), "resources: { memory");
  Says(Words(137), "not by Furrow");
  Says(Words(137), "no process that it killed for want of memory");
}

TEST_CASE("ending: what a shell could not find or execute is named") {
  Says(Words(127, "a\nbash: line 1: deploy: command not found\n"), "`deploy`");
  Says(Words(127, "sh: 1: deploy: not found\n"), "`deploy`");
  Says(Words(127, "/usr/bin/env: 'python': No such file or directory\n"), "`python`");
  Says(Words(127, "bash: line 1: ./tool: cannot execute: required file not found\n"),
       "the interpreter in the first line of `./tool`");
  Says(Words(126, "bash: ./x.py: /usr/bin/python: bad interpreter: No such file or directory\n"), "interpreter");
  Says(Words(126, "bash: line 1: ./run.sh: Permission denied\n"), "`./run.sh`");
  Says(Words(126, "bash: line 1: ./run.sh: Permission denied\n"), "chmod=+x");
  Says(Words(126, "bash: line 1: ./a: cannot execute binary file: Exec format error\n"), "another kind of machine");
  Says(Words(126, "bash: line 1: /bin/echo: Argument list too long\n"), "xargs");
}

TEST_CASE("ending: what nothing bears out is not claimed") {
  for (const int code : {126, 127, 129, 130, 134, 137, 139, 141, 143, 159}) {
    const std::string own = "`exit " + std::to_string(code) + "`";
    for (const char* log :
         {"", "\n", "all is well\n", "cat: /no/such: No such file or directory\n", "Traceback: nothing was found\n",
          "open: Permission denied\n", "workers Killed: 0\n", "no newline at the end"}) {
      Says(Words(code, log), own);
      if (code != 128 + SIGPIPE) Says(Words(code, log), std::to_string(code) + " is what a shell says of");
      CHECK(Words(code, log).find("as the log") == std::string::npos);
    }
  }
  for (const auto& [code, log] : std::vector<std::pair<int, std::string>>{
           {137, "run.sh: line 3:   4242 Killed                  python3 train.py\n"},
           {137, "Killed\n"},
           {143, "bash: line 1:    77 Terminated              sleep 100\n"},
           {139, "bash: line 31:  9727 Segmentation fault      (core dumped) ./a\n"},
           {139, "Segmentation fault (core dumped)\n"},
           {134, "bash: line 1: 12 Aborted                 ./a\nlast words\n"}})
    CHECK_MESSAGE(Words(code, log).find("`exit ") == std::string::npos, Words(code, log));
  CHECK(Words(137, "", 2).find("`exit ") == std::string::npos);
}

TEST_CASE("ending: what loaders, shells and starters complain about is told as what it is") {
  struct Line {
    int code;
    const char* log;
    const char* says;
  };
  constexpr const char* kLibrary = "the shared library `libfoo.so.1`";
  for (const auto& [code, log, says] : std::vector<Line>{
           {127,
            "./a: error while loading shared libraries: libfoo.so.1: cannot open shared object file: No such file or "
            "directory\n",
            kLibrary},
           {127, "./a: error while loading shared libraries: libfoo.so.1: file too short\n", "could not be loaded"},
           {127, "./a: error while loading shared libraries: libfoo.so.1: wrong ELF class: ELFCLASS32\n", kLibrary},
           {127, "Error loading shared library libfoo.so.1: No such file or directory (needed by ./a)\n", kLibrary},
           {1, "ImportError: libfoo.so.1: cannot open shared object file: No such file or directory\n", kLibrary},
           {1, "OSError: libfoo.so.1: cannot open shared object file: No such file or directory\n", kLibrary},
           {1, "./a: /lib/libc.so.6: version `GLIBC_9.99' not found (required by ./a)\n", "newer system"},
           {127, "./a: symbol lookup error: ./a: undefined symbol: foo\n", "do not fit each other"},
           {1, "ImportError: /x/_C.so: undefined symbol: _ZN2at\n", "do not fit each other"},
           {127, "env: ‘pyhton’: No such file or directory\n", "`pyhton`"},
           {127, "/usr/bin/env: ‘python3 -u’: No such file or directory\n/usr/bin/env: use -[v]S\n", "env -S"},
           {127, "timeout: failed to run command ‘nofile’: No such file or directory\n", "`nofile`"},
           {127, "nice: 'nofile': No such file or directory\n", "`nofile`"},
           {127, "setsid: failed to execute nofile: No such file or directory\n", "`nofile`"},
           {127, "env: can't execute 'nofile': No such file or directory\n", "`nofile`"},
           {127, "bash: line 1: exec: nofile: not found\n", "`nofile`"},
           {127, "bash: nofile.sh: No such file or directory\n", "`nofile.sh`"},
           {127, "bash: line 1: ./not here: No such file or directory\n", "`./not here`"},
           {127, "zsh:1: command not found: nofile\n", "`nofile`"},
           {127, "sudo: nofile: command not found\n", "`nofile`"},
           {127, "a: line 1: first: command not found\na: line 2: second: command not found\n", "`second`"},
           {127, "a: line 1: tool: command not found\ncat: x: No such file or directory\n", "`tool`"},
           {126, "bash: line 1: ./no-dir: Is a directory\n", "folder"},
           {126, "bash: line 1: exec: ./no-dir: cannot execute: Is a directory\n", "`./no-dir` is a folder"},
           {126, "env: ‘./lost’: Permission denied\n", "`./lost` may not be executed"},
           {126, "sh: 1: exec: ./a: Exec format error\n", "a damaged one"},
           {126, "bash: ./x: /srv: bad interpreter: Permission denied\n", "`/srv`, is a folder"},
           {2, "./a: line 1: \xef\xbb\xbf#!/usr/bin/env: No such file or directory\n./a: syntax error\n", "BOM"},
           {127, "./a: 1: \xef\xbb\xbf#!/bin/sh: not found\n", "BOM"},
           {1, "bash: fork: retry: Resource temporarily unavailable\n", "process or thread"},
           {254, "bash: fork: Resource temporarily unavailable\n", "process or thread"},
           {1, "RuntimeError: can't start new thread\n", "process or thread"},
           {1, "OpenBLAS: pthread_create failed: Resource temporarily unavailable\n", "process or thread"},
           {1, "cat: write error: Resource temporarily unavailable\n", "O_NONBLOCK"},
           {1, "bash: line 1: echo: write error: Resource temporarily unavailable\n", "O_NONBLOCK"},
           {1, "BlockingIOError: [Errno 11] write could not complete without blocking\n", "O_NONBLOCK"},
           {120, "BlockingIOError: [Errno 11] Resource temporarily unavailable\n", "O_NONBLOCK"},
           {1, "make: write error: stdout: Resource temporarily unavailable\n", "O_NONBLOCK"}})
    Says(Words(code, log), says);
  for (const char* log :
       {"ImportError: cannot import name 'x'\n", "OSError: [Errno 2] No such file or directory: 'x'\n",
        "flock: Resource temporarily unavailable\n", "connect: Resource temporarily unavailable\n"})
    CHECK_MESSAGE(Words(1, log).empty(), Words(1, log));
}

TEST_CASE("ending: Windows line ends are recognised in what shells say of them") {
  for (const auto& [code, log] : std::vector<std::pair<int, std::string>>{
           {126, "bash: ./a.sh: /bin/bash^M: bad interpreter: No such file or directory\n"},
           {127, "/usr/bin/env: 'python3\\r': No such file or directory\n"},
           {127, "/usr/bin/env: ‘python3\\r’: No such file or directory\n/usr/bin/env: use -[v]S\n"},
           {127, "/usr/bin/env: ‘bash\r’: No such file or directory\n"},
           {127, "env: can't execute 'python3\r': No such file or directory\n"},
           {2, "/bin/bash: -\r: invalid option\n"},
           {2, "a.sh: line 2: syntax error near unexpected token `$'do\\r''\n"},
           {127, "a.sh: line 1: $'echo\\r': command not found\n"},
           {127, "a.sh: 2: echo\r: not found\n"},
           {2, "a.sh: line 3: $'\\r': command not found\na.sh: line 9: syntax error\n"},
           {2, "a.sh: 1: set: Illegal option -\r\n"}})
    Says(Words(code, log), "CRLF");
}

TEST_CASE("ending: other statuses with a meaning are told, too") {
  Says(Words(124), "timeout");
  Says(Words(141), "pipefail");
  Says(Words(139), "PYTHONFAULTHANDLER");
  Says(Words(134), "assertion");
}

TEST_CASE("ending: real shells and programs are understood, in outcome and output") {
  Fixture f;
  f.StartRunner();
  std::ofstream(f.dir() + "/crlf.sh") << "#!/bin/sh\r\necho hi\r\n";
  std::ofstream(f.dir() + "/lost.sh") << "#!/no/such/python\n";
  std::ofstream(f.dir() + "/plain.sh") << "#!/bin/sh\necho hi\n";
  ::chmod((f.dir() + "/crlf.sh").c_str(), 0755);
  ::chmod((f.dir() + "/lost.sh").c_str(), 0755);
  std::uint64_t job = 1;
  for (const auto& [script, code, words] :
       std::vector<std::tuple<std::string, int, std::string>>{{"no-such-tool --now", 127, "`no-such-tool`"},
                                                              {f.dir() + "/plain.sh", 126, "chmod=+x"},
                                                              {f.dir() + "/lost.sh", 0, "interpreter"},
                                                              {f.dir() + "/crlf.sh", 0, "CRLF"},
                                                              {"bash -c 'kill -9 $$'", 137, "SIGKILL"},
                                                              {"bash -c 'kill -SEGV $$'", 139, "SIGSEGV"},
                                                              {"set -o pipefail; yes | head -1", 141, "SIGPIPE"},
                                                              {"timeout 0.01 sleep 10", 124, "timeout"}}) {
    const Exited exited = f.RunToEnd(f.Job(job, {{"bash", "-c", script + "; exit $?"}}));
    CHECK(exited.outcome.kind == OutcomeKind::kExited);
    if (code != 0) CHECK(exited.outcome.code == code);
    Says(exited.outcome.text, words);
    Says(f.Output(job), "furrow: exit status " + std::to_string(exited.outcome.code) + ": " + exited.outcome.text);
    ++job;
  }
  struct File {
    const char* name;
    std::string bytes;
    const char* words;
  };
  std::string other;  // a program like this one, for a machine of another kind
  other.resize(64);
  std::ifstream("/proc/self/exe", std::ios::binary).read(other.data(), 64);
  const std::string cut = other.substr(0, 40);
  other[18] = static_cast<char>(other[18] == 62 ? 183 : 62);
  for (const auto& [name, bytes, words] :
       std::vector<File>{{"other", other, "another kind of machine"},
                         {"cut", cut, "damaged or cut"},
                         {"bom", "\xef\xbb\xbf#!/bin/nosuch\nexit 127\n", "BOM"},
                         {"lfs", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n", "git lfs pull"},
                         {"dirint", "#!/tmp\n", "is a folder"},
                         {"nul", std::string("#?\0\1\n\0", 6), "program"}}) {
    const std::string path = f.dir() + "/" + name;
    std::ofstream(path, std::ios::binary) << bytes;
    ::chmod(path.c_str(), 0755);
    for (const bool shell : {true, false}) {
      const Exited exited =
          f.RunToEnd(f.Job(job++, {shell ? std::vector<std::string>{"bash", "-c", path} : std::vector{path}}));
      CHECK((exited.outcome.kind == OutcomeKind::kExited) == shell);
      Says(exited.outcome.text, words);
    }
  }
  for (const std::string& folder : {std::string("/tmp"), f.dir(), std::string("./")}) {
    Says(f.RunToEnd(f.Job(job++, {{folder}})).outcome.text, "no folder can be executed");
    Says(f.RunToEnd(f.Job(job++, {{"bash", "-c", folder}})).outcome.text, "folder");
    Says(f.RunToEnd(f.Job(job++, {{"sh", "-c", folder}})).outcome.text, "folder");
  }
  const Exited direct = f.RunToEnd(f.Job(job, {{f.dir() + "/crlf.sh"}}));
  CHECK(direct.outcome.kind == OutcomeKind::kStartFailed);
  Says(direct.outcome.text, "CRLF");
}
