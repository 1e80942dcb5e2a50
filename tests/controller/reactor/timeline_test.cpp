#include "controller/reactor/timeline.h"

#include "controller/reactor/restore.h"
#include "tests/sim/disk.h"
#include "tests/support/controller_farm.h"

using namespace furrow;
using namespace furrow::testing;

namespace {

// A farm with one job on agent a, restored in a new timeline.
struct InNewTimeline : ControllerFarm {
  InNewTimeline() {
    Connect("a");
    Run& run = Accept(MakePipeline({MakeJob("one")}));
    Plan();
    old = run.jobs[0].attempt();
    state.farm.timeline = 2;
    state.agents.at("a").link.session.reset();
    state.sessions.clear();
  }
  Job& job() { return *state.FindJob(old.job).second; }
  PeerId Registers(std::vector<HeldAttempt> held) {
    const PeerId peer = 77;
    On(state, out, now, {peer, "a"}, Registration("a", Cpus(2), std::move(held)));
    out.Stored<AgentRecord>();
    CHECK(out.ToAgent<Welcome>(peer).timeline == state.farm.timeline);
    return peer;
  }
  AttemptRef old;
};

}  // namespace

TEST_CASE("timeline: epochs of each timeline lie above those of the ones before") {
  State state;
  state.farm.timeline = 1;
  CHECK(NextEpoch(state, Epoch{}) == Epoch{1});
  CHECK(NextEpoch(state, Epoch{7}) == Epoch{8});
  CHECK_FALSE(IsOutdated(state, Epoch{1}));
  state.farm.timeline = 3;
  CHECK(Raw(NextEpoch(state, Epoch{7})) == 2 * kEpochsPerTimeline + 1);
  CHECK(NextEpoch(state, NextEpoch(state, Epoch{7})) == Epoch{2 * kEpochsPerTimeline + 2});
  CHECK(IsOutdated(state, Epoch{2 * kEpochsPerTimeline}));
  CHECK_FALSE(IsOutdated(state, Epoch{}));  // never assigned
  state.farm.timeline = 0;                  // not known, as in tests
  CHECK(NextEpoch(state, Epoch{}) == Epoch{1});
}

TEST_CASE("timeline: an attempt of an older one is killed, and its job starts again when the agent has ended it") {
  InNewTimeline farm;
  const PeerId peer = farm.Registers({{farm.old, Phase::kRunning}});
  const auto kill = farm.out.ToAgent<Kill>(peer);
  CHECK(kill.attempt == farm.old);
  CHECK(kill.forget);
  CHECK(farm.job().OnAgent());  // It may still run.
  farm.Plan();
  CHECK(farm.job().OnAgent());
  farm.Pass(farm.state.settings.heartbeat);
  farm.SendHeartbeat("a", {});
  CHECK(farm.out.Stored<AttemptRecord>().outcome.kind == OutcomeKind::kLost);
  farm.out.Clear();
  CHECK(farm.job().state == JobState::kReady);
  farm.Plan();
  CHECK(farm.job().OnAgent());
  CHECK(Raw(farm.job().epoch) == kEpochsPerTimeline + 1);
}

TEST_CASE("timeline: what an agent says of an older one is refused, and changes nothing") {
  InNewTimeline farm;
  const PeerId peer = farm.Registers({{farm.old, Phase::kReporting}});
  farm.out.Clear();
  const SessionId session = farm.Session("a");
  Finished finished = farm.Report(farm.job());
  CHECK_FALSE(farm.Tell("a", finished).has_value());
  CHECK(farm.out.ToAgent<FinishedAck>(peer).attempt == farm.old);  // so that the agent forgets it
  CHECK_FALSE(On(farm.state, farm.out, farm.now, {peer, "a"}, Started{session, farm.old, farm.now.wall}).has_value());
  CHECK_FALSE(
      On(farm.state, farm.out, farm.now, {peer, "a"}, MetricsReport{session, farm.old, 0, std::vector<MetricLine>(1)})
          .has_value());
  farm.out.ToAgent<MetricsAck>(peer);
  CHECK(farm.out.empty());
  CHECK(farm.job().OnAgent());
  CHECK(farm.job().metrics_count == 0);
}

TEST_CASE("timeline: the attempt of an agent that never comes back ends with its lease") {
  InNewTimeline farm;
  farm.Pass(farm.state.settings.WithMargin(farm.state.agents.at("a").lease) + seconds(1));
  OnTick(farm.state, farm.out, farm.now);
  farm.out.Clear();
  CHECK(farm.job().state == JobState::kReady);
}
