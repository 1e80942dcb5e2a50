#include "controller/reactor/drain.h"

#include "controller/reactor/turn.h"
#include "controller/scheduler/explain.h"
#include "tests/support/controller_farm.h"

using namespace furrow;
using namespace furrow::testing;

namespace {

constexpr auto kTwoHours = std::chrono::hours(2);

// An agent with one job.
struct OneJob : ControllerFarm {
  OneJob() {
    Connect("a", Cpus(1));
    run = &Accept(MakePipeline({MakeJob("test")}));
    Plan();
  }
  // What `client` is answered.
  std::string Ask(const DrainAgent& request, const std::string& client = "laptop") {
    On(state, out, now, {kAlice, ++asked, client}, request);
    return out.ToClient<Done>(kAlice, asked).text;
  }
  const Agent& a() const { return state.agents.at("a"); }
  Run* run = nullptr;
  std::uint64_t asked = 0;
};

}  // namespace

TEST_CASE("drain: the agent keeps its jobs, durably gets no new ones, and is planned for again when it is resumed") {
  OneJob farm;
  CHECK(farm.Ask({"a"}) == "a gets no new jobs; it has 1");
  const auto record = farm.out.Stored<AgentRecord>();
  CHECK(record.drained);
  CHECK(record.drain == Drain{.by = "laptop", .since = farm.now.wall});
  CHECK(farm.run->jobs[0].agent == "a");
  farm.Ask({"a"});  // asked again: nothing new to record
  CHECK(farm.out.empty());

  farm.state.plan_needed = false;
  CHECK(farm.Ask({.agent = "a", .drained = false}) == "a gets jobs again; it has 1");
  CHECK_FALSE(farm.out.Stored<AgentRecord>().drained);
  CHECK(farm.a().drain == Drain{});
  CHECK(farm.state.plan_needed);

  On(farm.state, farm.out, farm.now, {kAlice, 99}, DrainAgent{"c"});
  CHECK(farm.out.ToClient<Failure>(kAlice, 99).code == Errc::kNotFound);
  farm.state.CheckInvariants();
}

TEST_CASE("drain: at its time the agent gets jobs again by itself, and not before") {
  OneJob farm;
  CHECK(farm.Ask({.agent = "a", .duration = kTwoHours}) == "a gets no new jobs until 1970-01-01 02:16 UTC; it has 1");
  const auto record = farm.out.Stored<AgentRecord>();
  CHECK(record.drain.until == WallTime{1'000'000 + 7'200'000});
  farm.state.plan_needed = false;

  Agent& agent = farm.state.agents.at("a");
  const auto tick = [&](Duration later) {
    farm.Pass(later);
    agent.link.heard = farm.now.mono;
    OnTick(farm.state, farm.out, farm.now);
  };
  tick(kTwoHours - milliseconds(1));
  CHECK(agent.drained);
  CHECK(farm.out.empty());
  tick(milliseconds(1));
  CHECK_FALSE(agent.drained);
  CHECK_FALSE(farm.out.Stored<AgentRecord>().drained);
  CHECK(farm.state.plan_needed);
}

TEST_CASE("drain: who drains an agent again says anew for how long; since when stays") {
  OneJob farm;
  farm.Ask({.agent = "a", .duration = kTwoHours});
  farm.out.Stored<AgentRecord>();
  const WallTime since = farm.now.wall;
  farm.Pass(seconds(10));
  farm.Ask({"a"}, "ops");
  CHECK(farm.out.Stored<AgentRecord>().drain == Drain{.by = "ops", .since = since});
}

TEST_CASE("drain: who asks for a job that waits is told who drained its agents, and for how long") {
  OneJob farm;
  farm.Ask({.agent = "a", .duration = kTwoHours, .reason = "memory is swapped"}, "ops");
  farm.out.Stored<AgentRecord>();
  Run& waits = farm.Accept(MakePipeline({MakeJob("test")}));
  CHECK(ExplainWait(farm.state, waits.groups[0]).reason ==
        "every agent that could take it is drained or away; `furrow resume` gives these jobs again: a (drained by ops "
        "until 1970-01-01 02:16 UTC: memory is swapped)");
}

TEST_CASE("drain: it outlives the controller, also one that a controller of before wrote down") {
  OneJob farm;
  for (const Drain& drain :
       {Drain{.by = "ops", .since = WallTime{5}, .until = WallTime{2'000'000}, .reason = "fans"}, Drain{}}) {
    Restored restored;
    restored.agents.push_back(farm.a().record());
    restored.agents[0].drained = true;
    restored.agents[0].drain = drain;
    Outbox out;
    const State state = RestoreState(farm.state.settings, std::move(restored), farm.now, out);
    CHECK(state.agents.at("a").drained);
    CHECK(state.agents.at("a").drain == drain);
  }
}
