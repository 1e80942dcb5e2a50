#include "agent/runner/ending_words.h"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <csignal>
#include <cstring>
#include <fstream>

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

TEST_CASE("ending: a signal has the same words as the shell's 128 + n") {
  for (int number = 1; number <= SIGSYS; ++number) {
    const std::string words = EndInWords({{OutcomeKind::kSignaled, number, ""}, "", "/", 0, 3ull << 30});
    CHECK(words == Words(128 + number));
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
  Says(Words(127, "/usr/bin/env: 'python': No such file or directory\n"), "`'python'`");
  Says(Words(127, "bash: line 1: ./tool: cannot execute: required file not found\n"),
       "the interpreter in the first line of `./tool`");
  Says(Words(126, "bash: ./x.py: /usr/bin/python: bad interpreter: No such file or directory\n"), "interpreter");
  Says(Words(127, "no shell speaks like this"), "was not found");
  Says(Words(126, "bash: line 1: ./run.sh: Permission denied\n"), "`./run.sh`");
  Says(Words(126, "bash: line 1: ./run.sh: Permission denied\n"), "chmod=+x");
  Says(Words(126, "bash: line 1: ./a: cannot execute binary file: Exec format error\n"), "another kind of machine");
  Says(Words(126, "bash: line 1: /bin/echo: Argument list too long\n"), "xargs");
}

TEST_CASE("ending: Windows line ends are recognised in what shells say of them") {
  for (const auto& [code, log] : std::vector<std::pair<int, std::string>>{
           {126, "bash: ./a.sh: /bin/bash^M: bad interpreter: No such file or directory\n"},
           {127, "/usr/bin/env: 'python3\\r': No such file or directory\n"},
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
  const Exited direct = f.RunToEnd(f.Job(job, {{f.dir() + "/crlf.sh"}}));
  CHECK(direct.outcome.kind == OutcomeKind::kStartFailed);
  Says(direct.outcome.text, "CRLF");
}
