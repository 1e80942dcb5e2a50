#include <doctest/doctest.h>

#include <cstdlib>
#include <string>

#include "tests/sim/world.h"

using namespace furrow;
using namespace furrow::sim;

namespace {

using std::chrono::seconds;

JobSpec MakeJob(const std::string& name, std::vector<std::string> needs, std::uint32_t shards, bool fails = false) {
  JobSpec job;
  job.name = name;
  job.needs = std::move(needs);
  job.shards = shards;
  job.retry.max = 1000;  // the weather is to blame, not the job
  job.steps.push_back({"step", ExecStep{{fails ? "/bin/false" : "/bin/true"}}});
  if (shards == 1) job.artifacts = {"out"};
  return job;
}

Pipeline Diamond(const std::string& name, bool fails) {
  Pipeline pipeline;
  pipeline.name = name;
  pipeline.jobs = {MakeJob("prepare", {}, 1), MakeJob("train", {"prepare"}, 1, fails), MakeJob("test", {"prepare"}, 6),
                   MakeJob("gate", {"train", "test"}, 1)};
  return pipeline;
}

// FURROW_SIM_SEED=N runs one seed again; FURROW_SIM_SEEDS=N runs more of them.
std::uint64_t SeedsOr(std::uint64_t usual) {
  const char* text = std::getenv("FURROW_SIM_SEEDS");
  return text != nullptr ? std::strtoull(text, nullptr, 10) : usual;
}

// Lets `work` play on each seed, or on the one that was asked for.
template <class Work>
void ForSeeds(std::uint64_t count, Work work) {
  if (const char* text = std::getenv("FURROW_SIM_SEED")) {
    work(std::strtoull(text, nullptr, 10));
    return;
  }
  for (std::uint64_t seed = 1; seed <= count; ++seed) {
    CAPTURE(seed);
    work(seed);
  }
}

void PlayStorm(std::uint64_t seed, const Weather& weather) {
  World world(seed, 3, weather);
  for (int i = 0; i < 4; ++i) {
    world.Submit(Diamond("storm", i == 2));
    world.Pass(seconds(20));
    if (i == 1) world.CancelNewest();
    world.CheckLedger();
  }
  world.Pass(seconds(60));
  world.CheckLedger();
  REQUIRE_MESSAGE(world.HealAndFinish(), "seed " << seed << ": a run did not end; again: FURROW_SIM_SEED=" << seed);
  world.CheckLedger();
  CHECK(world.accepted() == 4);
  for (const auto& [id, run] : world.disk().runs()) CHECK(run.state != RunState::kRunning);
}

}  // namespace

TEST_CASE("sim: in calm weather every job of a run runs exactly once") {
  ForSeeds(SeedsOr(20), [](std::uint64_t seed) {
    World world(seed, 2, Weather{0, 0, 0, 0, 0, 0, 0, 0, 0});
    world.Submit(Diamond("calm", false));
    REQUIRE(world.HealAndFinish());
    world.CheckLedger();
    CHECK(world.executions().size() == 9);
    CHECK(world.disk().runs().begin()->second.state == RunState::kPassed);
  });
}

TEST_CASE("sim: a failed job fails its run and skips what needs it") {
  World world(7, 2, Weather{0, 0, 0, 0, 0, 0, 0, 0, 0});
  world.Submit(Diamond("fails", true));
  REQUIRE(world.HealAndFinish());
  CHECK(world.disk().runs().begin()->second.state == RunState::kFailed);
  CHECK(world.disk().jobs().rbegin()->second.state == JobState::kSkipped);
}

TEST_CASE("sim: frames lost, doubled, delayed and reordered lose no run and run nothing twice") {
  ForSeeds(SeedsOr(100), [](std::uint64_t seed) { PlayStorm(seed, Weather{0.2, 0.2, 0.3, 0, 0, 0, 0, 0, 0}); });
}

TEST_CASE("sim: crashes of the controller lose no acknowledged run, and each job runs once") {
  ForSeeds(SeedsOr(100), [](std::uint64_t seed) {
    World world(seed, 2, Weather{0.05, 0.05, 0.1, 0.1, 0, 0, 0, 0, 0});
    world.Submit(Diamond("crash", false));
    world.Pass(seconds(60));
    REQUIRE(world.HealAndFinish());
    world.CheckLedger();
    CHECK(world.executions().size() == 9);
    CHECK(world.disk().runs().begin()->second.state == RunState::kPassed);
  });
}

TEST_CASE("sim: restarts of agents leave their jobs running, and each runs once") {
  ForSeeds(SeedsOr(100), [](std::uint64_t seed) {
    // Down for less than the lease, most of the time: where a lease does run out, a second attempt is right.
    World world(seed, 2, Weather{0.05, 0.05, 0.1, 0, 0.03, 0, 0, 0, 0});
    world.Submit(Diamond("restart", false));
    world.Pass(seconds(60));
    REQUIRE(world.HealAndFinish());
    world.CheckLedger();
    CHECK(world.disk().runs().begin()->second.state == RunState::kPassed);
  });
}

TEST_CASE("sim: everything at once") {
  ForSeeds(SeedsOr(200), [](std::uint64_t seed) {
    PlayStorm(seed, Weather{0.1, 0.1, 0.1, 0.02, 0.01, 0.01, 0.005, 0.01, 0.005});
  });
}

TEST_CASE("sim: the same seed gives the same trace") {
  const auto trace = [](std::uint64_t seed) {
    World world(seed, 3, Weather{0.1, 0.1, 0.1, 0.02, 0.01, 0.01, 0.005, 0.01, 0.005});
    world.Submit(Diamond("trace", false));
    world.Pass(seconds(120));
    return world.trace();
  };
  CHECK(trace(42) == trace(42));
  CHECK(trace(42) != trace(43));
}
