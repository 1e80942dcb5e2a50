#include "agent/reactor/session.h"
#include "agent/runner/ending_words.h"
#include "tests/support/agent_farm.h"

using namespace furrow;
using namespace furrow::testing;

namespace {

using Stage = HeldJob::Stage;

runner::Attempt Listed(const Assign& assign, bool running, char slot = 0) {
  runner::Attempt attempt;
  attempt.ref = assign.attempt;
  attempt.running = running;
  attempt.started = WallTime{900};
  attempt.exited.ref = assign.attempt;
  attempt.exited.outcome = {runner::OutcomeKind::kExited, 0, ""};
  attempt.exited.started = WallTime{900};
  attempt.exited.spool_bytes = 5;
  attempt.blob = slot + std::string(3, '\0') + Encode(ToAgent{assign}).value();
  return attempt;
}

}  // namespace

TEST_CASE("jobs: an Assign without trees goes straight to the runner") {
  AgentFarm farm;
  farm.Join();
  CHECK(farm.Hear(MakeAssign(Attempt(1))).has_value());
  CHECK(farm.out.Runner<runner::Start>().ref == Attempt(1));
  CHECK(farm.out.empty());
  CHECK(farm.Job(Attempt(1)).phase() == Phase::kPreparing);
}

TEST_CASE("jobs: an Assign with trees is prepared first") {
  AgentFarm farm;
  farm.Join();
  CHECK(farm.Hear(MakeAssign(Attempt(1), {HashOf("a"), HashOf("b")})).has_value());
  const auto prepare = farm.out.Workspace<Prepare>();
  CHECK(prepare.dir == "/state/work/0");
  CHECK(prepare.trees == std::vector<Hash>{HashOf("a"), HashOf("b")});
  CHECK(farm.out.empty());
  On(farm.state, farm.out, farm.now, Prepared{Attempt(1)});
  farm.out.Runner<runner::Start>();
  CHECK(farm.out.empty());
  On(farm.state, farm.out, farm.now, Prepared{Attempt(1)});
  CHECK(farm.out.empty());
}

TEST_CASE("jobs: an Assign that comes twice, early or late, runs once") {
  AgentFarm farm;
  farm.Join();
  farm.Run(MakeAssign(Attempt(1)));
  CHECK(farm.Hear(MakeAssign(Attempt(1))).has_value());
  CHECK(farm.out.empty());
  On(farm.state, farm.out, farm.now, farm.Exit(Attempt(1)));
  On(farm.state, farm.out, farm.now, LogInline{Attempt(1), "", HashOf("")});
  farm.out.Clear();
  CHECK(farm.Hear(FinishedAck{kSession, Attempt(1)}).has_value());
  farm.out.Clear();
  CHECK(farm.state.jobs.empty());
  farm.Pass(seconds(29));
  CHECK(farm.Hear(MakeAssign(Attempt(1))).has_value());
  CHECK(farm.out.empty());
  CHECK(farm.state.jobs.empty());
}

TEST_CASE("jobs: what was acknowledged is forgotten after a while") {
  AgentFarm farm;
  farm.Join();
  farm.RunToReport(MakeAssign(Attempt(1)));
  CHECK(farm.Hear(FinishedAck{kSession, Attempt(1)}).has_value());
  CHECK(farm.state.done.size() == 1);
  farm.Pass(seconds(61));
  farm.Tick();
  CHECK(farm.state.done.empty());
  farm.out.Clear();
}

TEST_CASE("jobs: Kill ends an attempt wherever it stands") {
  AgentFarm farm;
  farm.Join();
  const auto kill = [](std::uint64_t job) { return Kill{kSession, Attempt(job), "cancelled: wrong", false}; };
  REQUIRE(farm.Hear(MakeAssign(Attempt(1), {HashOf("a")})).has_value());
  farm.out.Clear();
  CHECK(farm.Hear(kill(1)).has_value());
  CHECK(farm.out.Workspace<CancelPrepare>().attempt == Attempt(1));
  auto report = farm.out.Sent<Finished>();
  CHECK(report.outcome == Outcome{OutcomeKind::kKilled, 0, 0, "cancelled: wrong"});
  CHECK(farm.out.empty());

  farm.Run(MakeAssign(Attempt(2)));
  CHECK(farm.Hear(kill(2)).has_value());
  const auto order = farm.out.Runner<runner::Kill>();
  CHECK(order.reason == "cancelled: wrong");
  CHECK(order.grace_ms == 10000);
  CHECK(farm.out.empty());
  On(farm.state, farm.out, farm.now, farm.Exit(Attempt(2), 0, runner::OutcomeKind::kKilled));
  farm.out.Clear();
  On(farm.state, farm.out, farm.now, LogInline{Attempt(2), "hello", HashOf("hello")});
  CHECK(farm.out.Sent<Finished>().outcome.kind == OutcomeKind::kKilled);
  CHECK(farm.Hear(kill(2)).has_value());  // it reports already
  CHECK(farm.Hear(kill(9)).has_value());  // not here
  CHECK(farm.out.empty());
}

TEST_CASE("jobs: a stale attempt ends without a report") {
  AgentFarm farm;
  farm.Join();
  const auto forget = [](std::uint64_t job) { return Kill{kSession, Attempt(job), "no longer current", true}; };
  farm.Run(MakeAssign(Attempt(1)));
  CHECK(farm.Hear(forget(1)).has_value());
  farm.out.Runner<runner::Kill>();
  CHECK(farm.out.empty());
  On(farm.state, farm.out, farm.now, farm.Exit(Attempt(1), 0, runner::OutcomeKind::kKilled));
  CHECK(farm.out.Runner<runner::Forget>().ref == Attempt(1));
  CHECK(farm.out.Upload<Clear>().attempt == Attempt(1));
  CHECK(farm.out.empty());

  farm.RunToReport(MakeAssign(Attempt(2)));
  CHECK(farm.Hear(forget(2)).has_value());
  farm.out.Runner<runner::Forget>();
  farm.out.Upload<Clear>();
  CHECK(farm.out.empty());
  CHECK(farm.state.jobs.empty());
}

TEST_CASE("jobs: one that was killed with the whole farm counts as lost, not as cancelled") {
  AgentFarm farm;
  farm.Join();
  farm.Run(MakeAssign(Attempt(1)));
  On(farm.state, farm.out, farm.now, farm.Exit(Attempt(1), 0, runner::OutcomeKind::kKilled));
  CHECK(farm.Job(Attempt(1)).report.outcome.kind == OutcomeKind::kLost);
  farm.out.Clear();
}

TEST_CASE("jobs: after a restart a running attempt is taken over from the runner's table") {
  AgentFarm farm;
  On(farm.state, farm.out, farm.now, runner::Listing{{Listed(MakeAssign(Attempt(1)), true)}});
  const auto follow = farm.out.Upload<Follow>();
  CHECK(follow.attempt == Attempt(1));
  CHECK(follow.resumed);
  CHECK(farm.out.empty());
  CHECK(farm.Job(Attempt(1)).phase() == Phase::kRunning);
  CHECK(farm.state.cpu_milli_used == 1000);
  On(farm.state, farm.out, farm.now, farm.Exit(Attempt(1)));
  CHECK(farm.out.Upload<FinishLog>().attempt == Attempt(1));
  CHECK(farm.out.empty());
}

TEST_CASE("jobs: after a restart an attempt that has ended is followed from the controller's end on, and reported") {
  AgentFarm farm;
  const Assign assign = With(MakeAssign(Attempt(1)), [](JobSpec& spec) { spec.artifacts = {"model.pt"}; });
  On(farm.state, farm.out, farm.now, runner::Listing{{Listed(assign, false)}});
  CHECK(farm.out.Upload<Follow>().resumed);
  CHECK(farm.out.Upload<FinishLog>().length == 5);
  CHECK(farm.out.Upload<Collect>().attempt == Attempt(1));
  CHECK(farm.out.empty());
  CHECK(farm.Job(Attempt(1)).phase() == Phase::kReporting);
  CHECK(farm.state.cpu_milli_used == 0);
}

TEST_CASE("jobs: an attempt whose description cannot be read is ended and forgotten") {
  AgentFarm farm;
  runner::Attempt strange = Listed(MakeAssign(Attempt(1)), true);
  strange.blob = "from the future";
  runner::Attempt other = Listed(MakeAssign(Attempt(9)), false);
  other.ref = Attempt(2);
  On(farm.state, farm.out, farm.now, runner::Listing{{strange, other}});
  CHECK(farm.out.Runner<runner::Kill>().ref == Attempt(1));
  CHECK(farm.out.Runner<runner::Forget>().ref == Attempt(1));
  CHECK(farm.out.Runner<runner::Forget>().ref == Attempt(2));
  CHECK(farm.out.empty());
  CHECK(farm.state.jobs.empty());
}

TEST_CASE("jobs: while the runner is gone nothing starts; its next table says what became of each attempt") {
  AgentFarm farm;
  farm.Join();
  farm.state.offer.cpu_milli = 4000;
  farm.Run(MakeAssign(Attempt(1)));
  farm.Run(MakeAssign(Attempt(2)));
  REQUIRE(farm.Hear(MakeAssign(Attempt(3))).has_value());
  farm.out.Clear();
  OnRunnerGone(farm.state);
  REQUIRE(farm.Hear(MakeAssign(Attempt(4))).has_value());
  CHECK(farm.out.empty());
  runner::Attempt lost = Listed(MakeAssign(Attempt(2)), false, 1);
  lost.exited.outcome.kind = runner::OutcomeKind::kLost;
  On(farm.state, farm.out, farm.now, runner::Listing{{Listed(MakeAssign(Attempt(1)), true), lost}});
  CHECK(farm.out.Lease() == farm.state.lease_until);  // a new runner knows of none
  CHECK(farm.Job(Attempt(1)).stage == Stage::kRunning);
  CHECK(farm.Job(Attempt(2)).report.outcome.kind == OutcomeKind::kLost);
  // The third was told to a runner that never wrote it down; the fourth to none.
  CHECK(farm.out.Runner<runner::Start>().ref == Attempt(4));
  CHECK(farm.out.Runner<runner::Start>().ref == Attempt(3));
  farm.out.Upload<Follow>();
  farm.out.Upload<FinishLog>();
  CHECK(farm.out.empty());
}

TEST_CASE("jobs: an attempt that ran, and that the runner's table lost, is lost and not started a second time") {
  for (const bool incomplete : {false, true}) {
    AgentFarm farm;
    farm.Join();
    farm.state.offer.cpu_milli = 4000;
    farm.Run(MakeAssign(Attempt(1)));
    REQUIRE(farm.Hear(MakeAssign(Attempt(2))).has_value());  // told to the runner, which has not answered yet
    farm.out.Clear();
    OnRunnerGone(farm.state);
    On(farm.state, farm.out, farm.now, runner::Listing{{}, incomplete});
    farm.out.Lease();
    CHECK(farm.Job(Attempt(1)).report.outcome.kind == OutcomeKind::kLost);
    CHECK(farm.Job(Attempt(1)).stage == Stage::kCollecting);
    if (incomplete) {
      CHECK(farm.Job(Attempt(2)).report.outcome.kind == OutcomeKind::kLost);
    } else {
      CHECK(farm.Job(Attempt(2)).stage == Stage::kStarting);
      CHECK(farm.out.Runner<runner::Start>().ref == Attempt(2));
    }
    farm.out.Clear();
  }
}

TEST_CASE("jobs: a signal is an exit status of 128 more") {
  for (const int number : {9, 11, 15}) {
    AgentFarm farm;
    farm.Join();
    farm.Run(MakeAssign(Attempt(1)));
    runner::Exited exited = farm.Exit(Attempt(1), number, runner::OutcomeKind::kSignaled);
    exited.outcome.text = "words";
    On(farm.state, farm.out, farm.now, exited);
    CHECK(farm.Job(Attempt(1)).report.outcome == Outcome{OutcomeKind::kExited, 128 + number, 0, "words"});
    farm.out.Clear();
  }
}

TEST_CASE("jobs: what was being killed when the runner went ends without being started again") {
  AgentFarm farm;
  farm.Join();
  REQUIRE(farm.Hear(MakeAssign(Attempt(1))).has_value());
  farm.Run(MakeAssign(Attempt(2)));
  CHECK(farm.Hear(Kill{kSession, Attempt(1), "cancelled", false}).has_value());
  CHECK(farm.Hear(Kill{kSession, Attempt(2), "cancelled", false}).has_value());
  farm.out.Clear();
  OnRunnerGone(farm.state);
  On(farm.state, farm.out, farm.now, runner::Listing{{Listed(MakeAssign(Attempt(2)), true)}});
  farm.out.Lease();
  CHECK(farm.out.Runner<runner::Kill>().ref == Attempt(2));
  CHECK(farm.out.Sent<Finished>().outcome.kind == OutcomeKind::kKilled);
  CHECK(farm.out.empty());
  CHECK(farm.state.cpu_milli_used == 1000);
}

TEST_CASE("jobs: what the runner still has of a forgotten attempt is dropped, and its slot stays another's") {
  AgentFarm farm;
  farm.Join();
  farm.RunToReport(MakeAssign(Attempt(1)));
  CHECK(farm.Hear(FinishedAck{kSession, Attempt(1)}).has_value());
  On(farm.state, farm.out, farm.now, Cleared{Attempt(1)});
  farm.Run(MakeAssign(Attempt(2)));
  CHECK(farm.Job(Attempt(2)).slot == 0);
  farm.state.done.clear();  // as after a new session
  farm.state.done_order.clear();
  OnRunnerGone(farm.state);
  On(farm.state, farm.out, farm.now,
     runner::Listing{{Listed(MakeAssign(Attempt(1)), false), Listed(MakeAssign(Attempt(2)), true)}});
  CHECK(farm.out.Runner<runner::Forget>().ref == Attempt(1));
  farm.out.Lease();
  CHECK(farm.out.empty());
  CHECK(farm.state.jobs.size() == 1);
}

TEST_CASE("jobs: a slot is used again once it is cleared, and not before") {
  AgentFarm farm;
  farm.Join();
  farm.state.offer.cpu_milli = 8000;
  farm.RunToReport(MakeAssign(Attempt(1)));
  CHECK(farm.Hear(FinishedAck{kSession, Attempt(1)}).has_value());
  farm.out.Clear();
  farm.Run(MakeAssign(Attempt(2)));
  CHECK(farm.Job(Attempt(2)).slot == 1);
  On(farm.state, farm.out, farm.now, Cleared{Attempt(1)});
  On(farm.state, farm.out, farm.now, Cleared{Attempt(1)});
  farm.Run(MakeAssign(Attempt(3)));
  CHECK(farm.Job(Attempt(3)).slot == 0);
  farm.Run(MakeAssign(Attempt(4)));
  CHECK(farm.Job(Attempt(4)).slot == 2);
}

TEST_CASE("jobs: a slot that is still being prepared when its job ends is not used again") {
  AgentFarm farm;
  farm.Join();
  REQUIRE(farm.Hear(MakeAssign(Attempt(1), {HashOf("a")})).has_value());
  CHECK(farm.Hear(Kill{kSession, Attempt(1), "no longer current", true}).has_value());
  farm.out.Workspace<Prepare>();
  farm.out.Workspace<CancelPrepare>();
  CHECK(farm.out.Runner<runner::Forget>().ref == Attempt(1));
  CHECK(farm.out.empty());
  farm.Run(MakeAssign(Attempt(2)));
  CHECK(farm.Job(Attempt(2)).slot == 1);
}

TEST_CASE("jobs: after a restart slots go on above those that are held") {
  AgentFarm farm;
  On(farm.state, farm.out, farm.now, runner::Listing{{Listed(MakeAssign(Attempt(1)), true, 7)}});
  CHECK(farm.out.Upload<Follow>().spool == "/state/spool/7.log");
  CHECK(farm.state.slots_made == 8);
}

TEST_CASE("jobs: an assignment that cannot be read fails in words, once") {
  AgentFarm farm;
  farm.Join();
  OnUnreadableAssign(farm.state, farm.out, farm.now, SessionId{99}, Attempt(5), "of a newer kind");
  CHECK(farm.out.empty());  // of a session that is over
  OnUnreadableAssign(farm.state, farm.out, farm.now, kSession, Attempt(5), "of a newer kind");
  const auto report = farm.out.Sent<Finished>();
  CHECK(report.attempt == Attempt(5));
  CHECK(report.outcome.kind == OutcomeKind::kStartFailed);
  CHECK(report.outcome.detail == "this agent (furrow-agent test) cannot read the assignment: of a newer kind");
  CHECK(Encode(AgentMessage{report}).has_value());
  OnUnreadableAssign(farm.state, farm.out, farm.now, kSession, Attempt(5), "of a newer kind");
  CHECK(farm.out.empty());
}

TEST_CASE("jobs: one that the runner cannot be told of fails in words, and another takes its place") {
  AgentFarm farm;
  farm.Join();
  const auto large = [](std::uint64_t job) {
    return With(MakeAssign(Attempt(job)), [](JobSpec& spec) { spec.resources.cpu_milli = 2000; });
  };
  REQUIRE(farm.Hear(large(1)).has_value());
  REQUIRE(farm.Hear(large(2)).has_value());
  CHECK(farm.out.Runner<runner::Start>().ref == Attempt(1));
  OnStartRefused(farm.state, farm.out, farm.now, Attempt(1), "a message of 9 MB");
  CHECK(farm.out.Sent<Finished>().outcome.detail == "a message of 9 MB");
  CHECK(farm.out.Runner<runner::Start>().ref == Attempt(2));
}

TEST_CASE("jobs: what fails on a full disk is lost, and what passes on one has a word about it") {
  struct Case {
    std::uint64_t free_mib;  // during the attempt; disk.low is 1 GiB
    runner::Outcome outcome;
    OutcomeKind kind;
    bool told;
  };
  using runner::OutcomeKind::kExited;
  const std::string no_room = runner::kNoRoom;
  for (const Case& one : {
           Case{0, {kExited, 1, ""}, OutcomeKind::kLost, true},
           Case{0, {runner::OutcomeKind::kSignaled, 7, "SIGBUS"}, OutcomeKind::kLost, true},
           Case{0, {runner::OutcomeKind::kStartFailed, 0, "no journal"}, OutcomeKind::kLost, true},
           Case{0, {runner::OutcomeKind::kLost, 0, "the output could not be kept"}, OutcomeKind::kLost, true},
           Case{0, {kExited, 0, ""}, OutcomeKind::kExited, true},
           Case{0, {runner::OutcomeKind::kTimedOut, 0, "timed out"}, OutcomeKind::kTimedOut, true},
           Case{900, {kExited, 1, ""}, OutcomeKind::kExited, false},
           Case{3000, {kExited, 1, no_room}, OutcomeKind::kLost, true},
           Case{3000, {runner::OutcomeKind::kLost, 0, "no output: No space left on device"}, OutcomeKind::kLost, true},
           Case{3000, {runner::OutcomeKind::kLost, 0, "the runner was killed"}, OutcomeKind::kLost, false},
           Case{5000, {kExited, 1, no_room}, OutcomeKind::kExited, false},
           Case{5000, {kExited, 1, ""}, OutcomeKind::kExited, false},
       }) {
    CAPTURE(one.free_mib);
    CAPTURE(one.outcome.text);
    AgentFarm farm;
    farm.Join();
    farm.state.settings.disk_low_bytes = 1 << 30;
    farm.Run(MakeAssign(Attempt(1)));
    OnDiskSpace(farm.state, farm.out, farm.now, {one.free_mib << 20});
    farm.state.disk_full_at.reset();
    OnDiskSpace(farm.state, farm.out, farm.now, {6000ull << 20});  // The job has removed what it wrote.
    runner::Exited exited = farm.Exit(Attempt(1));
    exited.outcome = one.outcome;
    On(farm.state, farm.out, farm.now, exited);
    const Outcome outcome = farm.Job(Attempt(1)).report.outcome;
    CHECK(outcome.kind == one.kind);
    CHECK((outcome.detail.find("this agent's disk (") != std::string::npos) == one.told);
    CHECK(farm.state.condition.empty() != one.told);  // It gets no new job for a while.
    farm.out.Clear();
  }
}
