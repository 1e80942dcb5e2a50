#include <doctest/doctest.h>

#include <cstdlib>
#include <string>

#include "agent/reactor/reactor.h"
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
  if (name == "train") job.resources.cpu_milli = 2000;  // a whole machine
  return job;
}

Pipeline Diamond(const std::string& name, bool fails) {
  Pipeline pipeline;
  pipeline.name = name;
  pipeline.jobs = {MakeJob("prepare", {}, 1), MakeJob("train", {"prepare"}, 1, fails), MakeJob("test", {"prepare"}, 12),
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

const Weather kFoul{.loss = 0.1,
                    .doubled = 0.1,
                    .slow = 0.1,
                    .commit_crash = 0.002,
                    .commit_fail = 0.002,
                    .disk_slow = 0.01,
                    .disk_full = 0.003,
                    .controller_crash = 0.01,
                    .agent_crash = 0.01,
                    .agent_turn_crash = 0.002,
                    .agent_end = 0.005,
                    .channel_full = 0.02,
                    .agent_stop = 0.01,
                    .runner_crash = 0.005,
                    .partition = 0.01,
                    .machine_lost = 0.003,
                    .git_trouble = 0.2};

// Four runs, one of which fails and two of which are cancelled in part or whole, and some pushes.
void PlayStorm(std::uint64_t seed, const Weather& weather) {
  World world(seed, 3, weather);
  for (int i = 0; i < 4; ++i) {
    world.Submit(Diamond("storm", i == 2));
    world.Push(i == 2 ? "feature" : "main");
    world.Pass(seconds(20));
    if (i == 1) world.CancelNewest();
    if (i == 3) world.CancelNewest("test");
  }
  world.Pass(seconds(60));
  REQUIRE_MESSAGE(world.HealAndFinish(), "seed " << seed << ": something did not end; again: FURROW_SIM_SEED=" << seed);
  CHECK(world.accepted() == 4);
}

// One run that nobody cancels.
void PlayOne(std::uint64_t seed, const Weather& weather) {
  World world(seed, 2, weather);
  world.Submit(Diamond("one", false));
  world.Pass(seconds(60));
  REQUIRE_MESSAGE(world.HealAndFinish(), "seed " << seed << ": something did not end; again: FURROW_SIM_SEED=" << seed);
  CHECK(world.disk().runs().begin()->second.state == RunState::kPassed);
}

}  // namespace

TEST_CASE("sim: in calm weather every job of a run runs exactly once, and every push starts one run") {
  ForSeeds(SeedsOr(20), [](std::uint64_t seed) {
    World world(seed, 2, Weather{});
    world.Submit(Diamond("calm", false));
    world.Push("main");
    world.Pass(seconds(30));
    world.Push("main");
    world.Push("feature");
    world.Pass(seconds(30));
    REQUIRE(world.HealAndFinish());
    CHECK(world.disk().runs().size() == 4);
    CHECK(world.executions().size() == 18);
    for (const auto& [id, run] : world.disk().runs()) CHECK(run.state == RunState::kPassed);
  });
}

TEST_CASE("sim: a failed job fails its run and skips what needs it") {
  World world(7, 2, Weather{});
  world.Submit(Diamond("fails", true));
  REQUIRE(world.HealAndFinish());
  CHECK(world.disk().runs().begin()->second.state == RunState::kFailed);
  CHECK(world.disk().jobs().rbegin()->second.state == JobState::kSkipped);
}

TEST_CASE("sim: frames lost, doubled, delayed and reordered lose no run and run nothing twice") {
  ForSeeds(SeedsOr(300), [](std::uint64_t seed) {
    PlayStorm(seed, Weather{.loss = 0.2, .doubled = 0.3, .slow = 0.3, .git_trouble = 0.2});
  });
}

// A job runs once, unless the controller was away for a whole lease.
TEST_CASE("sim: crashes of the controller, between any two of its steps, lose nothing") {
  ForSeeds(SeedsOr(300), [](std::uint64_t seed) {
    const Weather weather{
        .loss = 0.05, .doubled = 0.05, .slow = 0.1, .commit_crash = 0.1, .controller_crash = 0.05, .git_trouble = 0.1};
    World world(seed, 2, weather);
    world.Submit(Diamond("crash", false));
    world.Push("main");
    world.Pass(seconds(60));
    REQUIRE(world.HealAndFinish());
    CHECK(world.disk().runs().begin()->second.state == RunState::kPassed);
    for (const auto& [id, job] : world.disk().jobs()) {
      const std::vector<AttemptRecord> attempts = world.disk().AttemptsOf(id);
      for (std::size_t i = 0; i + 1 < attempts.size(); ++i) CHECK(attempts[i].outcome.detail == kLeaseOut);
    }
  });
}

// A disk that is full, say: what is decided waits for it, but agents must not be taken for deaf, nor take us for dead.
TEST_CASE("sim: a disk that stands still for longer than any lease costs no attempt") {
  ForSeeds(SeedsOr(50), [](std::uint64_t seed) {
    World world(seed, 2, Weather{});
    world.Submit(Diamond("stalled", false));
    world.Pass(seconds(2));
    world.StallDisk(seconds(200));
    world.Submit(Diamond("waits", false));
    world.Pass(seconds(200));
    REQUIRE(world.HealAndFinish());
    CHECK(world.executions().size() == 30);
    for (const auto& [id, job] : world.disk().jobs()) CHECK(world.disk().AttemptsOf(id).size() == 1);
  });
}

TEST_CASE("sim: restarts of agents leave their jobs running, and their ends are reported") {
  ForSeeds(SeedsOr(300), [](std::uint64_t seed) {
    PlayOne(seed, Weather{.loss = 0.05, .doubled = 0.05, .slow = 0.1, .agent_crash = 0.05});
  });
}

TEST_CASE(
    "sim: agents that are stopped or cut off for longer than their lease never run a job beside its next attempt") {
  ForSeeds(SeedsOr(300), [](std::uint64_t seed) {
    PlayOne(seed,
            Weather{.slow = 0.2, .agent_crash = 0.01, .agent_stop = 0.04, .runner_crash = 0.02, .partition = 0.04});
  });
}

TEST_CASE("sim: commits that fail, and disks that are slow or full, lose nothing that was acknowledged") {
  ForSeeds(SeedsOr(100), [](std::uint64_t seed) {
    PlayStorm(seed, Weather{.loss = 0.05, .slow = 0.1, .commit_fail = 0.02, .disk_slow = 0.05, .disk_full = 0.01});
  });
}

// What a damaged record said is lost: its job fails, in words, and everything else goes on.
TEST_CASE("sim: a store of which a start can read only parts leaves nothing stuck and runs nothing twice") {
  ForSeeds(SeedsOr(200), [](std::uint64_t seed) {
    Weather weather = kFoul;
    weather.controller_crash = 0.03;
    weather.unreadable = 0.1;
    PlayStorm(seed, weather);
  });
}

TEST_CASE("sim: everything at once") {
  ForSeeds(SeedsOr(600), [](std::uint64_t seed) { PlayStorm(seed, kFoul); });
}

TEST_CASE("sim: a thousand agents share a run, though some are cut off and the controller is started anew") {
  ForSeeds(1, [](std::uint64_t seed) {
    World world(seed, 1000, Weather{.loss = 0.01, .controller_crash = 0.1, .partition = 0.002});
    Pipeline pipeline = Diamond("wide", false);
    pipeline.jobs[2].shards = 2000;
    world.Submit(pipeline);
    world.Pass(seconds(20));
    REQUIRE(world.HealAndFinish());
    CHECK(world.disk().runs().begin()->second.state == RunState::kPassed);
  });
}

TEST_CASE("sim: ten thousand ready shards run on a few agents, through restarts of the controller") {
  ForSeeds(1, [](std::uint64_t seed) {
    World world(seed, 10, Weather{.loss = 0.01, .doubled = 0.01, .commit_fail = 0.0005, .controller_crash = 0.02},
                /*quick=*/true);
    Pipeline pipeline;
    pipeline.name = "many";
    pipeline.jobs = {MakeJob("many", {}, 10'000)};
    world.Submit(pipeline);
    world.Pass(seconds(60));
    REQUIRE(world.HealAndFinish());
    CHECK(world.disk().runs().begin()->second.state == RunState::kPassed);
    CHECK(world.executions().size() >= 10'000);
  });
}

TEST_CASE("sim: a job that needs the artifacts of twenty thousand shards gets them all") {
  World world(1, 10, Weather{}, /*quick=*/true);
  Pipeline pipeline;
  pipeline.name = "fan-in";
  pipeline.jobs = {MakeJob("shard", {}, 20'000), MakeJob("join", {"shard"}, 1)};
  pipeline.jobs[0].artifacts = {"out"};
  world.Submit(pipeline);
  REQUIRE(world.HealAndFinish());
  CHECK(world.disk().runs().begin()->second.state == RunState::kPassed);
  CHECK(world.executions().size() == 20'001);
}

// As many names as a job may have, as long as they may be, in lines that fill a report, and very many short lines.
TEST_CASE("sim: metrics near every cap arrive whole, whatever becomes of the frames") {
  ForSeeds(3, [](std::uint64_t seed) {
    std::vector<MetricLine> lines;
    for (std::size_t i = 0; i < 8; ++i) {
      MetricLine& line = lines.emplace_back();
      line.step = static_cast<std::int64_t>(i);
      for (std::size_t k = 0; k < kMaxMetricsPerLine; ++k) {
        std::string name = std::to_string((i * kMaxMetricsPerLine + k) % kMaxJobMetrics);
        name.resize(kMaxMetricNameBytes, 'n');
        line.values.push_back({name, static_cast<double>(k)});
      }
    }
    for (std::int64_t i = 0; i < 2500; ++i) lines.push_back({i, WallTime{}, {lines[0].values[0]}});
    World world(seed, 2, Weather{.loss = 0.05, .doubled = 0.05, .slow = 0.1, .controller_crash = 0.02});
    world.Write(std::move(lines));
    Pipeline pipeline;
    pipeline.name = "metrics";
    pipeline.jobs = {MakeJob("one", {}, 1), MakeJob("two", {"one"}, 2)};
    world.Submit(pipeline);
    world.Pass(seconds(20));
    REQUIRE(world.HealAndFinish());
    CHECK(world.disk().runs().begin()->second.state == RunState::kPassed);
  });
}

TEST_CASE("sim: the same seed gives the same trace") {
  const auto trace = [](std::uint64_t seed) {
    World world(seed, 3, kFoul);
    world.Submit(Diamond("trace", false));
    world.Push("main");
    world.Pass(seconds(120));
    return world.trace();
  };
  CHECK(trace(42) == trace(42));
  CHECK(trace(42) != trace(43));
}
