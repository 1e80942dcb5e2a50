#include "tests/support/agent_farm.h"

using namespace furrow;
using namespace furrow::testing;

namespace {

using Stage = HeldJob::Stage;

Assign Sized(std::uint64_t job, std::uint32_t cpu, std::uint64_t memory = 0) {
  return With(MakeAssign(Attempt(job)), [&](JobSpec& spec) {
    spec.resources.cpu_milli = cpu;
    spec.resources.memory_bytes = memory;
  });
}

runner::Attempt Listed(const Assign& assign, char slot, std::optional<AttemptRef> held_for = std::nullopt) {
  runner::Attempt attempt;
  attempt.ref = assign.attempt;
  attempt.running = true;
  attempt.started = WallTime{900};
  attempt.blob = slot + std::string(3, '\0') + Encode(ToAgent{assign}).value();
  attempt.held_for = held_for;
  return attempt;
}

// Two jobs run, on two CPUs; the runner can hold more.
struct Full : AgentFarm {
  Full() {
    Join();
    state.runner_holds = true;
    Run(MakeAssign(Attempt(1)));
    Run(MakeAssign(Attempt(2)));
  }
  void Exited(std::uint64_t job) {
    On(state, out, now, Exit(Attempt(job)));
    state.CheckInvariants();
    out.Upload<Follow>();
    out.Upload<FinishLog>();
  }
};

}  // namespace

TEST_CASE("devices: no more run than there are CPUs and memory; a small one may pass a large one") {
  AgentFarm farm;
  farm.Join();
  CHECK(farm.Hear(Sized(1, 1000)).has_value());
  farm.out.Runner<runner::Start>();
  CHECK(farm.Hear(Sized(2, 2000)).has_value());
  CHECK(farm.out.empty());
  CHECK(farm.Hear(Sized(3, 500, 2ull << 30)).has_value());
  CHECK(farm.out.empty());
  CHECK(farm.Hear(Sized(4, 500)).has_value());
  CHECK(farm.out.Runner<runner::Start>().ref == Attempt(4));
  for (std::uint64_t job : {1, 4}) {
    On(farm.state, farm.out, farm.now, runner::Started{Attempt(job), 1, farm.now.wall});
    On(farm.state, farm.out, farm.now, farm.Exit(Attempt(job)));
  }
  CHECK(farm.out.Runner<runner::Start>().ref == Attempt(2));
  farm.out.Clear();
}

TEST_CASE("devices: the next jobs are held for those that run, one for each, and get what these had") {
  Full farm;
  for (std::uint64_t job : {3, 4, 5}) REQUIRE(farm.Hear(MakeAssign(Attempt(job))).has_value());
  auto start = farm.out.Runner<runner::Start>();
  CHECK(start.ref == Attempt(3));
  CHECK(start.after == Attempt(1));
  start = farm.out.Runner<runner::Start>();
  CHECK(start.ref == Attempt(4));
  CHECK(start.after == Attempt(2));
  CHECK(farm.out.empty());
  CHECK(farm.Job(Attempt(3)).phase() == Phase::kPreparing);
  CHECK(farm.state.cpu_milli_used == 2000);

  farm.Exited(1);  // the runner has begun the third by itself; the fifth is held for it
  start = farm.out.Runner<runner::Start>();
  CHECK(start.ref == Attempt(5));
  CHECK(start.after == Attempt(3));
  CHECK(farm.out.empty());
  CHECK(farm.state.cpu_milli_used == 2000);
  CHECK(farm.Job(Attempt(3)).stage == Stage::kStarting);
  On(farm.state, farm.out, farm.now, runner::Started{Attempt(3), 10, WallTime{1234}});
  CHECK(farm.Job(Attempt(3)).stage == Stage::kRunning);
  CHECK(farm.Job(Attempt(3)).report.started == WallTime{1234});
}

TEST_CASE("devices: a runner from before it could hold is not asked to") {
  Full farm;
  farm.state.runner_holds = false;
  REQUIRE(farm.Hear(MakeAssign(Attempt(3))).has_value());
  CHECK(farm.out.empty());
  farm.Exited(1);
  CHECK_FALSE(farm.out.Runner<runner::Start>().after);
}

TEST_CASE("devices: a held job is let go when other CPUs become free first") {
  Full farm;
  REQUIRE(farm.Hear(MakeAssign(Attempt(3))).has_value());
  CHECK(farm.out.Runner<runner::Start>().after == Attempt(1));
  farm.Exited(2);
  const auto start = farm.out.Runner<runner::Start>();
  CHECK(start.ref == Attempt(3));
  CHECK_FALSE(start.after);
  CHECK(farm.out.empty());
  REQUIRE(farm.Hear(MakeAssign(Attempt(4))).has_value());  // the first has no successor any more
  CHECK(farm.out.Runner<runner::Start>().after == Attempt(1));
  farm.Exited(1);
  CHECK(farm.state.cpu_milli_used == 2000);
  CHECK(farm.out.empty());
}

TEST_CASE("devices: nothing is held for a job that has less than it needs") {
  Full farm;
  REQUIRE(farm.Hear(Sized(3, 2000)).has_value());
  CHECK(farm.out.empty());
  REQUIRE(farm.Hear(Sized(4, 500, 1)).has_value());
  CHECK(farm.out.empty());
  farm.Exited(1);  // the small one passes the large one
  CHECK(farm.out.Runner<runner::Start>().ref == Attempt(4));
  CHECK(farm.out.empty());
}

TEST_CASE("devices: where the offer has become smaller, what is held already goes on and nothing more is held") {
  Full farm;
  for (std::uint64_t job : {3, 4, 5, 6, 7, 8}) REQUIRE(farm.Hear(MakeAssign(Attempt(job))).has_value());
  Offer smaller = farm.state.offer;
  smaller.cpu_milli = 1000;
  OnSettings(farm.state, farm.out, farm.now, farm.state.settings, smaller, 0);
  for (std::uint64_t job = 1; job <= 7; ++job) {
    On(farm.state, farm.out, farm.now, farm.Exit(Attempt(job)));
    farm.state.CheckInvariants();
    CHECK(farm.state.cpu_milli_used == (job < 3 ? 2000 : 1000));
  }
  farm.out.Clear();
}

TEST_CASE("devices: a held job that is killed makes room for another successor") {
  Full farm;
  REQUIRE(farm.Hear(MakeAssign(Attempt(3))).has_value());
  farm.out.Runner<runner::Start>();
  CHECK(farm.Hear(Kill{kSession, Attempt(3), "cancelled", false}).has_value());
  CHECK(farm.out.Runner<runner::Kill>().ref == Attempt(3));
  farm.Exited(2);
  CHECK(farm.out.empty());  // what is being killed is not let go
  On(farm.state, farm.out, farm.now, farm.Exit(Attempt(3), 0, runner::OutcomeKind::kKilled));
  farm.state.CheckInvariants();
  CHECK(farm.Job(Attempt(3)).report.outcome.kind == OutcomeKind::kKilled);
  farm.out.Clear();
  for (std::uint64_t job : {4, 5}) REQUIRE(farm.Hear(MakeAssign(Attempt(job))).has_value());
  CHECK_FALSE(farm.out.Runner<runner::Start>().after);
  CHECK(farm.out.Runner<runner::Start>().after == Attempt(1));
}

TEST_CASE("devices: one that is held when the agent stops is lost, not cancelled") {
  Full farm;
  REQUIRE(farm.Hear(MakeAssign(Attempt(3))).has_value());
  farm.out.Clear();
  OnStop(farm.state, farm.out, farm.now);
  CHECK(farm.out.empty());  // main has the runner end everything
  On(farm.state, farm.out, farm.now, farm.Exit(Attempt(3), 0, runner::OutcomeKind::kKilled));
  CHECK(farm.Job(Attempt(3)).report.outcome.kind == OutcomeKind::kLost);
  farm.out.Clear();
}

TEST_CASE("devices: after a restart a held job is known as held, and nobody else is held for the same") {
  AgentFarm farm;
  farm.state.runner_holds = true;
  On(farm.state, farm.out, farm.now,
     runner::Listing{{Listed(MakeAssign(Attempt(1)), 0, Attempt(3)), Listed(MakeAssign(Attempt(2)), 1),
                      Listed(MakeAssign(Attempt(3)), 2)}});
  CHECK(farm.out.Upload<Follow>().attempt == Attempt(2));
  CHECK(farm.out.Upload<Follow>().attempt == Attempt(3));
  CHECK(farm.out.empty());
  CHECK(farm.Job(Attempt(1)).stage == Stage::kHeld);
  CHECK(farm.Job(Attempt(1)).phase() == Phase::kPreparing);
  CHECK(farm.state.cpu_milli_used == 2000);
  CHECK(farm.state.without_successor == std::set<AttemptRef>{Attempt(2)});
  On(farm.state, farm.out, farm.now, farm.Exit(Attempt(3)));
  On(farm.state, farm.out, farm.now, runner::Started{Attempt(1), 10, WallTime{1234}});
  CHECK(farm.Job(Attempt(1)).stage == Stage::kRunning);
  CHECK(farm.state.cpu_milli_used == 2000);
  farm.out.Clear();
}

TEST_CASE("devices: a new connection to the runner finds out what of the held jobs was lost on the way") {
  Full farm;
  for (std::uint64_t job : {3, 4}) REQUIRE(farm.Hear(MakeAssign(Attempt(job))).has_value());
  farm.out.Clear();
  OnRunnerGone(farm.state);
  SUBCASE("the runner never heard of them") {
    On(farm.state, farm.out, farm.now,
       runner::Listing{{Listed(MakeAssign(Attempt(1)), 0), Listed(MakeAssign(Attempt(2)), 1)}});
    farm.out.Lease();
    CHECK(farm.out.Runner<runner::Start>().after == Attempt(1));
    CHECK(farm.out.Runner<runner::Start>().after == Attempt(2));
    CHECK(farm.out.empty());
  }
  SUBCASE("one has begun meanwhile") {
    runner::Attempt ended = Listed(MakeAssign(Attempt(1)), 0);
    ended.running = false;
    ended.exited = farm.Exit(Attempt(1));
    On(farm.state, farm.out, farm.now,
       runner::Listing{{ended, Listed(MakeAssign(Attempt(2)), 1), Listed(MakeAssign(Attempt(3)), 2),
                        Listed(MakeAssign(Attempt(4)), 3, Attempt(2))}});
    CHECK(farm.Job(Attempt(1)).stage == Stage::kCollecting);
    CHECK(farm.Job(Attempt(3)).stage == Stage::kRunning);
    CHECK(farm.Job(Attempt(4)).stage == Stage::kHeld);
    farm.out.Clear();
  }
  SUBCASE("one was let go, and that did not arrive") {
    On(farm.state, farm.out, farm.now, farm.Exit(Attempt(1)));  // the third begins
    farm.out.Clear();
    On(farm.state, farm.out, farm.now,
       runner::Listing{{Listed(MakeAssign(Attempt(2)), 1), Listed(MakeAssign(Attempt(3)), 2, Attempt(1)),
                        Listed(MakeAssign(Attempt(4)), 3, Attempt(2))}});
    const auto start = farm.out.Runner<runner::Start>();
    CHECK(start.ref == Attempt(3));
    CHECK_FALSE(start.after);
    farm.out.Lease();
    CHECK(farm.out.empty());
  }
}
