// What jobs do to their streams, and that their logs are whole all the same.
#include <doctest/doctest.h>
#include <sys/mount.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <thread>

#include "tests/agent/runner/fixture.h"

namespace furrow::runner::testing {

TEST_CASE("output: whatever a job does to its streams, all that it printed is there, in order") {
  Fixture f;
  f.StartRunner();
  struct Case {
    const char* script;
    const char* output;
  };
  const Case cases[] = {
      {"echo a; echo b > /dev/stderr; echo c > /dev/stdout; echo d >&2", "a\nb\nc\nd\n"},
      {"echo a; echo b | tee /dev/stderr; echo c | tee -a /dev/stdout", "a\nb\nb\nc\nc\n"},
      {"echo a; : > /dev/stdout; : > /dev/stderr; : > /proc/self/fd/1; echo b", "a\nb\n"},
      {"echo a; exec 1>>/dev/stderr; echo b; exec 2>/dev/stdout; echo c >&2", "a\nb\nc\n"},
      {"echo a; truncate -s 0 /dev/stdout 2>/dev/null; echo b", "a\nb\n"},
      {"echo a; dd if=/dev/zero of=/dev/stdout bs=1 count=0 2>/dev/null; echo b", "a\nb\n"},
      {"echo a; (exec > /dev/stdout; echo b; sh -c 'echo c > /dev/stderr'; echo d); echo e", "a\nb\nc\nd\ne\n"},
      {"echo a; exec 3> /dev/stdout; echo b; echo c >&3; echo d; exec 3>&-; echo e", "a\nb\nc\nd\ne\n"},
      {"echo a; exec 1>&- 2>&-; echo lost; exec 1>/dev/null; true", "a\n"},
      {"printf a; printf b > /dev/stdout; printf c >> /dev/stderr; printf d", "abcd"},
      {"head -c 200000 /dev/zero | tr '\\0' x; echo > /dev/stderr; echo end", nullptr},
      {"command -v python3 > /dev/null || { printf 'a\\nb\\nc\\n'; exit 0; }; python3 -u -c '\n"
       "import os, sys\n"
       "print(\"a\")\n"
       "for trick in (lambda: os.ftruncate(1, 0), lambda: os.lseek(1, 0, 0), lambda: os.pwrite(1, b\"x\", 0)):\n"
       "  try: trick()\n"
       "  except OSError: pass\n"
       "import fcntl\n"
       "fcntl.fcntl(1, fcntl.F_SETFL, fcntl.fcntl(1, fcntl.F_GETFL) & ~os.O_APPEND)\n"
       "open(\"/dev/stdout\", \"w\").write(\"b\\n\")\n"
       "os.write(2, b\"c\\n\")'",
       "a\nb\nc\n"},
  };
  std::uint64_t job = 0;
  for (const Case& one : cases) {
    INFO(one.script);
    const Exited exited = f.RunToEnd(f.Shell(++job, one.script));
    const std::string expected = one.output ? one.output : std::string(200'000, 'x') + "\nend\n";
    CHECK(f.Output(job) == expected);
    CHECK(exited.spool_bytes == expected.size());
  }
}

TEST_CASE("output: two steps, and two processes that open the stream anew, write behind each other") {
  Fixture f;
  f.StartRunner();
  const std::string writer = "i=0; while [ $i -lt 300 ]; do echo $0 $i; i=$((i+1)); done > /dev/stdout";
  const Exited exited = f.RunToEnd(
      f.Job(1, {{"sh", "-c", writer, "first"}, {"sh", "-c", "(" + writer + ") & " + writer + "; wait", "x"}}));
  CHECK(exited.outcome.Passed());
  std::string first;
  for (int i = 0; i < 300; ++i) first += "first " + std::to_string(i) + "\n";
  const std::string output = f.Output(1);
  CHECK(output.starts_with(first));
  std::size_t lines = 0;
  for (const char c : output) lines += c == '\n' ? 1 : 0;
  CHECK(lines == 900);
}

TEST_CASE("output: it is in the spool as soon as it is written, and all of it when the job is killed") {
  Fixture f;
  Fifo up(f.dir() + "/up");
  Fifo end(f.dir() + "/end");
  f.StartRunner();
  f.Send({f.Shell(1, "printf 'a line and a half'; echo up > " + up.path() + "; cat " + end.path())});
  f.AwaitStarted(1);
  up.Line();
  while (f.Output(1) != "a line and a half") std::this_thread::yield();
  f.Send({Kill{Ref(1), "enough", 0}});
  f.AwaitExited(1);
  CHECK(f.Output(1) == "a line and a half\nfurrow: killed: enough\n");
}

TEST_CASE("output: other users whom a job becomes may open its streams, too") {
  if (::geteuid() != 0) {
    MESSAGE("skipped: only root can become another user");
    return;
  }
  Fixture f;
  f.StartRunner();
  f.RunToEnd(
      f.Shell(1, "echo a; setpriv --reuid 65534 --clear-groups sh -c 'echo b > /dev/stderr; cat /dev/stdout' 2>&1"));
  const std::string output = f.Output(1);
  CHECK(output.starts_with("a\nb\n"));
  CHECK(output.find("Permission denied") != std::string::npos);  // to read would take bytes out of the log
}

TEST_CASE("output: a step that makes the stream non-blocking takes nothing from the next one") {
  Fixture f;
  f.StartRunner();
  Start start = f.Job(1, {{"python3", "-c", "import os; os.set_blocking(1, False); os.set_blocking(2, False)"},
                          {"sh", "-c", "seq 1 400000"}});
  const Exited exited = f.RunToEnd(start);
  CHECK(exited.outcome.Passed());
  CHECK(f.Output(1).ends_with("\n400000\n"));
}

TEST_CASE("output: a log whose file something has cut is no whole log: the attempt is lost, and says why") {
  Fixture f;
  f.StartRunner();
  std::uint64_t job = 0;
  for (const std::string cut : {": > $LOG", "truncate -s 3 $LOG", ": > $LOG; echo more",
                                "truncate -s -1 $LOG; sleep 1000", "(: > $LOG; echo more) & wait"}) {
    CAPTURE(cut);
    Start start = f.Shell(++job, "echo a line; until [ -s $LOG ]; do :; done; " + cut);
    start.env.push_back("LOG=" + f.spool(job));
    if (cut.ends_with("1000")) start.timeout_ms = 1000;
    const Exited exited = f.RunToEnd(std::move(start));
    CHECK(exited.outcome.kind == OutcomeKind::kLost);
    CHECK(exited.outcome.text.find("something has cut it") != std::string::npos);
  }
}

TEST_CASE("output: a log that the disk has no room for is no whole log: the attempt is lost, and says why") {
  Fixture f;
  const std::string disk = f.dir() + "/disk";
  std::filesystem::create_directories(disk);
  if (::mount("tmpfs", disk.c_str(), "tmpfs", 0, "size=256k") != 0) {
    MESSAGE("skipped: a small tmpfs cannot be mounted here");
    return;
  }
  f.StartRunner();
  Start start =
      f.Shell(1, "i=0; while [ $i -lt 100 ]; do head -c 10000 /dev/zero | tr '\\0' x || true; i=$((i+1)); done");
  start.spool = disk + "/1.log";
  const Exited exited = f.RunToEnd(start);
  CHECK(exited.outcome.kind == OutcomeKind::kLost);
  CHECK_MESSAGE(exited.outcome.text.find("disk is full") != std::string::npos, exited.outcome.text);
  f.Send({Shutdown{true}});
  f.AwaitGone();
  CHECK(::umount2(disk.c_str(), MNT_DETACH) == 0);
}

}  // namespace furrow::runner::testing
