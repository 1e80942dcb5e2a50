// Attempts that are held until another is over, by the real program.
#include <doctest/doctest.h>

#include <chrono>
#include <fstream>

#include "tests/agent/runner/fixture.h"

using namespace furrow;
using namespace furrow::runner;
using namespace furrow::runner::testing;

namespace {

// Job 1 runs until a line comes to `go`; job 2 is held for it.
struct Pair {
  Pair() {
    f.StartRunner();
    Start first = f.Shell(1, "read line < " + go.path());
    Start second = f.Shell(2, "echo second");
    second.after = first.ref;
    f.Send({first, second});
    f.AwaitStarted(1);
  }
  void LetGo() { std::ofstream(go.path()) << "on\n"; }

  Fixture f;
  Fifo go{f.dir() + "/go"};
};

const Attempt& Of(const Listing& listing, std::uint64_t job) {
  for (const Attempt& attempt : listing.attempts)
    if (attempt.ref == Ref(job)) return attempt;
  FAIL("not listed");
  return listing.attempts.front();
}

}  // namespace

TEST_CASE("held: it begins when the other is over, and its time counts from there") {
  Pair p;
  const Listing before = p.f.List();
  CHECK(Of(before, 2).running);
  CHECK(Of(before, 2).held_for == Ref(1));
  CHECK_FALSE(Of(before, 1).held_for);
  CHECK(p.f.Output(2).empty());
  p.LetGo();
  CHECK(p.f.AwaitExited(1).outcome.Passed());
  const Started started = p.f.AwaitStarted(2);
  const Exited exited = p.f.AwaitExited(2);
  CHECK(exited.outcome.Passed());
  CHECK(exited.started == started.at);
  CHECK(p.f.Output(2) == "second\n");
}

TEST_CASE("held: nothing is held for what does not run") {
  Fixture f;
  f.StartRunner();
  Start start = f.Shell(2, "true");
  start.after = Ref(1);
  CHECK(f.RunToEnd(start).outcome.Passed());
  f.RunToEnd(f.Shell(3, "true"));
  Start other = f.Shell(4, "true");
  other.after = Ref(3);
  CHECK(f.RunToEnd(other).outcome.Passed());
  Start itself = f.Shell(5, "true");
  itself.after = itself.ref;
  CHECK(f.RunToEnd(itself).outcome.Passed());
}

TEST_CASE("held: asked again without the other it goes at once, and only once") {
  Pair p;
  p.f.Send({p.f.Shell(2, "echo second")});
  CHECK(p.f.AwaitExited(2).outcome.Passed());
  p.LetGo();
  CHECK(p.f.AwaitExited(1).outcome.Passed());
  CHECK(p.f.RunToEnd(p.f.Shell(3, "true")).outcome.Passed());
  CHECK(p.f.Output(2) == "second\n");
}

TEST_CASE("held: a kill ends it without a process, the other goes on") {
  Pair p;
  p.f.Send({Kill{Ref(2), "not wanted", 5000}});
  const Exited killed = p.f.AwaitExited(2);
  CHECK(killed.outcome == Outcome{OutcomeKind::kKilled, 0, "not wanted"});
  CHECK(killed.elapsed_ms == 0);
  CHECK(p.f.Output(2) == "furrow: killed: not wanted\n");
  p.LetGo();
  CHECK(p.f.AwaitExited(1).outcome.Passed());
}

TEST_CASE("held: killing the other lets it begin; one that cannot start lets the next begin") {
  Pair p;
  Start third = p.f.Shell(3, "true");
  third.steps = {{{"/no/such/program"}, ""}};
  third.after = Ref(2);
  Start fourth = p.f.Shell(4, "echo fourth");
  fourth.after = Ref(3);
  p.f.Send({third, fourth, Kill{Ref(1), "enough", 0}});
  CHECK(p.f.AwaitExited(1).outcome.kind == OutcomeKind::kKilled);
  CHECK(p.f.AwaitExited(2).outcome.Passed());
  CHECK(p.f.AwaitExited(3).outcome.kind == OutcomeKind::kStartFailed);
  CHECK(p.f.AwaitExited(4).outcome.Passed());
  CHECK(p.f.Output(4) == "fourth\n");
}

TEST_CASE("held: a lease that runs out ends it with the rest") {
  Pair p;
  p.f.Send({Lease{1}});
  CHECK(p.f.AwaitExited(1).outcome.kind == OutcomeKind::kLost);
  CHECK(p.f.AwaitExited(2).outcome.kind == OutcomeKind::kLost);
  CHECK(p.f.Output(2).find("second\n") == std::string::npos);
}

TEST_CASE("held: it outlives its agent, not its runner") {
  Pair p;
  p.f.Disconnect();
  p.f.Connect();
  CHECK(Of(p.f.List(), 2).held_for == Ref(1));
  p.f.KillRunner();
  p.f.StartRunner();
  const Listing after = p.f.List();
  CHECK(Of(after, 1).exited.outcome.kind == OutcomeKind::kLost);
  CHECK(Of(after, 2).exited.outcome.kind == OutcomeKind::kLost);
  CHECK(p.f.Output(2).find("second\n") == std::string::npos);
}
