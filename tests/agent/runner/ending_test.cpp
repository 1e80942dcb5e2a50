// Kills, timeouts and what jobs leave behind, by the real program.
#include <doctest/doctest.h>

#include "agent/runner/process_tree.h"
#include "tests/agent/runner/fixture.h"

using namespace furrow;
using namespace furrow::runner;
using namespace furrow::runner::testing;

TEST_CASE("runner: a job that takes too long is ended, and says so") {
  Fixture f;
  f.StartRunner();
  Start start = f.Shell(1, "printf unfinished; exec sleep 1000");
  start.timeout_ms = 200;
  const Exited exited = f.RunToEnd(start);
  CHECK(exited.outcome == Outcome{OutcomeKind::kTimedOut, 0, "timed out after 200 ms"});
  CHECK(f.Output(1) == "unfinished\nfurrow: timed out after 200 ms\n");
}

TEST_CASE("runner: a killed job may clean up after SIGTERM") {
  Fixture f;
  Fifo up(f.dir() + "/up");
  f.StartRunner();
  f.Send({f.Shell(
      1, "trap 'echo cleaned; exit 0' TERM; echo up > " + up.path() + "; while :; do sleep 1000 & wait; done")});
  up.Line();
  f.Send({Kill{Ref(1), "cancelled\nby alice", 60'000}});
  const Exited exited = f.AwaitExited(1);
  CHECK(exited.outcome == Outcome{OutcomeKind::kKilled, 0, "cancelled\nby alice"});
  CHECK(f.Output(1) == "cleaned\nfurrow: killed: cancelled by alice\n");
}

TEST_CASE("runner: a job that ignores SIGTERM is killed after its grace") {
  Fixture f;
  Fifo up(f.dir() + "/up");
  f.StartRunner();
  f.Send({f.Shell(1, "trap '' TERM; echo $$ > " + up.path() + "; while :; do sleep 1000; done")});
  const pid_t pid = up.Pid();
  f.Send({Kill{Ref(1), "cancelled", 50}});
  CHECK(f.AwaitExited(1).outcome.kind == OutcomeKind::kKilled);
  CHECK(IsDead(pid));
}

TEST_CASE("runner: a second kill may hurry the first, not change its reason") {
  Fixture f;
  Fifo up(f.dir() + "/up");
  f.StartRunner();
  f.Send({f.Shell(1, "trap '' TERM; echo up > " + up.path() + "; while :; do sleep 1000; done")});
  up.Line();
  f.Send({Kill{Ref(1), "first", 600'000}, Kill{Ref(1), "second", 0}});
  CHECK(f.AwaitExited(1).outcome.text == "first");
}

TEST_CASE("runner: a kill in the same breath as the start ends it before it runs") {
  Fixture f;
  f.StartRunner();
  f.Send({f.Shell(1, "echo ran"), Kill{Ref(1), "changed my mind", 0}, Kill{Ref(99), "no such", 0}});
  CHECK(f.AwaitExited(1).outcome.kind == OutcomeKind::kKilled);
  CHECK(f.Output(1) == "furrow: killed: changed my mind\n");
}

TEST_CASE("runner: what forked twice, in new sessions, without environment, folder and output, dies with its job") {
  Fixture f;
  Fifo daemons(f.dir() + "/daemons");
  f.StartRunner();
  Start start = f.Job(1, {{HOSTILE, daemons.path()}, {HOSTILE, daemons.path()}});
  start.kill_grace_ms = 50;
  const Exited exited = f.RunToEnd(start);
  CHECK(exited.outcome.Passed());
  CHECK(IsDead(daemons.Pid()));
  CHECK(IsDead(daemons.Pid()));
  CHECK(f.Output(1).empty());
}

TEST_CASE("runner: a kill reaches the daemons of a job that stays") {
  Fixture f;
  Fifo daemons(f.dir() + "/daemons");
  f.StartRunner();
  f.Send({f.Job(1, {{HOSTILE, daemons.path(), "stay"}})});
  const pid_t daemon = daemons.Pid();
  const pid_t leader = static_cast<pid_t>(f.AwaitStarted(1).pid);
  f.Send({Kill{Ref(1), "cancelled", 50}});
  CHECK(f.AwaitExited(1).outcome.kind == OutcomeKind::kKilled);
  CHECK(IsDead(daemon));
  CHECK(IsDead(leader));
}

TEST_CASE("runner: an orphan that may be of either of two jobs dies with the second, at the latest") {
  Fixture f;
  Fifo up(f.dir() + "/up");
  Fifo daemons(f.dir() + "/daemons");
  f.StartRunner();
  f.Send({f.Shell(1, "echo up > " + up.path() + "; exec sleep 1000")});
  up.Line();
  Start start = f.Job(2, {{HOSTILE, daemons.path()}});
  start.kill_grace_ms = 0;
  CHECK(f.RunToEnd(start).outcome.Passed());
  const pid_t daemon = daemons.Pid();
  f.Send({Kill{Ref(1), "end", 0}});
  f.AwaitExited(1);
  CHECK(IsDead(daemon));
}

TEST_CASE("runner: a job's orphans are its own by session, token, folder or output, whoever else runs") {
  Fixture f;
  Fifo up(f.dir() + "/up");
  f.StartRunner();
  f.Send({f.Shell(1, "echo up > " + up.path() + "; exec sleep 1000")});
  up.Line();
  const auto leaves = [&](std::uint64_t job, const std::string& how) {
    Start start = f.Shell(
        job, "(" + how + " sh -c 'echo $$ > " + up.path() + "; exec sleep 1000') & read x < " + up.path() + ".go");
    start.kill_grace_ms = 0;
    return start;
  };
  Fifo go(up.path() + ".go");
  std::uint64_t job = 2;
  for (const std::string how : {"exec", "exec setsid", "exec setsid env -i", "cd / && exec setsid env -i"}) {
    f.Send({leaves(job, how)});
    const pid_t left = up.Pid();
    REQUIRE_FALSE(IsDead(left));
    f.Send({Kill{Ref(job), "end", 0}});
    f.AwaitExited(job);
    CHECK(IsDead(left));
    ++job;
  }
  const Listing listing = f.List();
  CHECK(listing.attempts.front().running);  // the bystander
}

TEST_CASE("runner: an orphan that carries a made-up token of another job dies with its own") {
  Fixture f;
  Fifo up(f.dir() + "/up");
  f.StartRunner();
  f.Send({f.Shell(1, "echo up > " + up.path() + "; exec sleep 1000")});  // the bystander
  up.Line();
  // What a job knows of tokens is its own: it puts the other's numbers in front of the random part.
  Start start = f.Shell(2, "FURROW_TOKEN=1-1-${FURROW_TOKEN##*-} setsid sh -c 'echo $$ > " + up.path() +
                               "; exec sleep 1000' & read x < " + up.path() + ".go");
  start.kill_grace_ms = 0;
  Fifo go(up.path() + ".go");
  f.Send({start});
  const pid_t left = up.Pid();
  REQUIRE_FALSE(IsDead(left));
  f.Send({Kill{Ref(2), "end", 0}});
  f.AwaitExited(2);
  CHECK(IsDead(left));
  CHECK(f.List().attempts.front().running);
}

TEST_CASE("runner: the last lines of a reader behind the job are not cut off") {
  Fixture f;
  f.StartRunner();
  // As `exec > >(tee log)` does it: the job ends first, its reader a little later.
  const Exited exited = f.RunToEnd(f.Job(1, {{"bash", "-c", "exec > >(cat; echo reader ended); echo hello"}}));
  CHECK(exited.outcome.Passed());
  CHECK(f.Output(1) == "hello\nreader ended\n");
}

TEST_CASE("runner: a stopped job can be ended") {
  Fixture f;
  Fifo up(f.dir() + "/up");
  f.StartRunner();
  f.Send({f.Shell(1, "trap 'echo woken; exit 0' TERM; echo up > " + up.path() + "; kill -STOP $$")});
  up.Line();
  f.Send({Kill{Ref(1), "end", 60'000}});
  CHECK(f.AwaitExited(1).outcome.kind == OutcomeKind::kKilled);
  CHECK(f.Output(1) == "woken\nfurrow: killed: end\n");
}
