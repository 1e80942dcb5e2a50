#include <map>

#include "common/base/hash.h"
#include "controller/parse/prepare.h"
#include "controller/reactor/pipelines.h"
#include "tests/sim/disk.h"
#include "tests/support/controller_farm.h"

using namespace furrow;
using namespace furrow::testing;

namespace {

// A farm whose every record goes to a disk, and what comes back from it after a start.
struct Lived : ControllerFarm {
  // Everything that the acts before put into the outbox becomes durable.
  void Commit() {
    disk.Apply(Turn{1, out->records, {}, out->events});
    out.Clear();
  }
  void Turns() {
    EndTurn(state, out, now);
    Commit();
  }
  Run& Accepted(Pipeline pipeline, const Hash& source = {}) {
    Run& run = AcceptAs(Uuid{4, ++requests}, std::move(pipeline), source);
    Turns();
    return run;
  }
  void Joins(const std::string& name, Offer offer) {
    On(state, out, now, {++peers, name}, Registration(name, std::move(offer)));
    Commit();
  }
  void Says(const Finished& message, const std::string& agent) {
    REQUIRE(Tell(agent, message).has_value());
    Turns();
  }
  // The state after a restart.
  State Restart(FakeOutbox& effects) {
    State restored = RestoreState(state.settings, disk.Load(), now, effects);
    restored.CheckInvariants();
    return restored;
  }
  sim::Disk disk;
  std::uint64_t requests = 0;
  PeerId peers = 0;
};

}  // namespace

TEST_CASE("restore: every job comes back in its state, queued or granted") {
  Lived farm;
  farm.Joins("a", Cpus(3));
  Run& run = farm.Accepted(MakePipeline({MakeJob("one"), MakeJob("two"), MakeJob("three"), MakeJob("four"),
                                         MakeJob("five", {"one"}), MakeJob("six", {"two"})}));
  farm.Says(farm.Report(farm.JobOf(run, "one")), "a");
  farm.Says(farm.Report(farm.JobOf(run, "two"), 1), "a");
  FakeOutbox effects;
  State state = farm.Restart(effects);
  Run& again = *state.FindRun(run.record.id);
  for (std::size_t i = 0; i < run.jobs.size(); ++i) {
    CAPTURE(i);
    CHECK(again.jobs[i].state == run.jobs[i].state);
    CHECK(again.jobs[i].epoch == run.jobs[i].epoch);
    CHECK(again.jobs[i].agent == run.jobs[i].agent);
    CHECK(again.jobs[i].attempts == run.jobs[i].attempts);
  }
  CHECK(again.open == run.open);
  CHECK(state.agents.at("a").booked.load.cpu_milli == farm.state.agents.at("a").booked.load.cpu_milli);
  CHECK(state.agents.at("a").link.heard == farm.now.mono);
  CHECK_FALSE(state.agents.at("a").link.session.has_value());
  CHECK(state.boot == 1);
  for (const Job& job : run.jobs)
    if (job.OnAgent()) CHECK(effects.Bulk<BulkGrant>().attempt == job.attempt());
  CHECK(effects.empty());
}

TEST_CASE("restore: each attempt is granted the trees that its Assign named") {
  Lived farm;
  farm.Joins("a", Cpus(8));
  JobSpec shards = MakeJob("shards", {"one"});
  shards.shards = 3;
  Run& run = farm.Accepted(MakePipeline({MakeJob("one"), shards, MakeJob("other")}), HashOf("sources"));
  Finished one = farm.Report(farm.JobOf(run, "one"));
  one.artifacts = HashOf("model");
  farm.Says(one, "a");
  FakeOutbox effects;
  State state = farm.Restart(effects);
  std::map<JobId, std::vector<Hash>> granted;
  for (int i = 0; i < 4; ++i) {
    const auto grant = effects.Bulk<BulkGrant>();
    granted[grant.attempt.job] = *grant.trees;
  }
  CHECK(effects.empty());
  for (const Job& job : run.jobs) {
    if (!job.OnAgent()) continue;
    const bool is_shard = run.GroupOf(job).spec->name == "shards";
    CHECK(granted.at(job.id) ==
          (is_shard ? std::vector<Hash>{HashOf("sources"), HashOf("model")} : std::vector<Hash>{HashOf("sources")}));
  }
}

TEST_CASE("restore: a run that waits is planned for as soon as an agent comes") {
  Lived farm;
  Run& run = farm.Accepted(MakePipeline({MakeJob("one"), MakeJob("two", {"one"})}));
  FakeOutbox effects;
  State state = farm.Restart(effects);
  CHECK(state.FindRun(run.record.id)->jobs[0].state == JobState::kReady);
  CHECK(state.FindRun(run.record.id)->jobs[1].state == JobState::kBlocked);
  On(state, effects, farm.now, {3, "a"}, farm.Registration("a", Cpus(1)));
  EndTurn(state, effects, farm.now);
  effects.ToAgent<Welcome>(3);
  CHECK(effects.ToAgent<Assign>(3).attempt == AttemptRef{run.jobs[0].id, Epoch{1}});
  effects.Clear();
}

TEST_CASE("restore: a retried job is ready again with its epoch and its ended attempts") {
  Lived farm;
  farm.Joins("a", Cpus(1));
  Run& run = farm.Accepted(MakePipeline({MakeJob("one")}));
  Finished lost = farm.Report(run.jobs[0]);
  lost.outcome.kind = OutcomeKind::kLost;
  REQUIRE(farm.Tell("a", lost).has_value());
  farm.Commit();
  FakeOutbox effects;
  State state = farm.Restart(effects);
  const Job& job = state.FindRun(run.record.id)->jobs[0];
  CHECK(job.state == JobState::kReady);
  CHECK(job.epoch == Epoch{1});
  CHECK(job.retries == 1);
  CHECK(job.attempts.size() == 1);
  CHECK(state.plan_needed);
}

TEST_CASE("restore: a run that was being cancelled goes on being cancelled") {
  Lived farm;
  farm.Joins("a", Cpus(1));
  Run& run = farm.Accepted(MakePipeline({MakeJob("one"), MakeJob("two", {"one"})}));
  On(farm.state, farm.out, farm.now, {kAlice, 1}, Cancel{{"fashion", 1, "", std::nullopt, ""}, ""});
  farm.Commit();
  FakeOutbox effects;
  State state = farm.Restart(effects);
  effects.Bulk<BulkGrant>();
  CHECK(effects.empty());
  Run& again = *state.FindRun(run.record.id);
  CHECK(again.record.cancelling);
  CHECK(again.jobs[0].cancelling);
  CHECK(again.jobs[1].state == JobState::kCancelled);
  On(state, effects, farm.now, {3, "a"}, farm.Registration("a", Cpus(1), {{run.jobs[0].attempt(), Phase::kRunning}}));
  effects.ToAgent<Welcome>(3);
  CHECK(effects.ToAgent<Kill>(3).attempt == run.jobs[0].attempt());
  effects.Clear();
}

TEST_CASE("restore: a job whose cancelling is on record is killed again, its run goes on") {
  Lived farm;
  farm.Joins("a", Cpus(2));
  Run& run = farm.Accepted(MakePipeline({MakeJob("one"), MakeJob("two")}));
  On(farm.state, farm.out, farm.now, {kAlice, 1}, Cancel{{"fashion", 1, "one", std::nullopt, ""}, ""});
  farm.Commit();
  FakeOutbox effects;
  State state = farm.Restart(effects);
  effects.Clear();
  CHECK(state.FindRun(run.record.id)->jobs[0].cancelling);
  CHECK_FALSE(state.FindRun(run.record.id)->jobs[1].cancelling);
}

TEST_CASE("restore: seals, the count of metrics and their newest values of running attempts come back") {
  Lived farm;
  farm.Joins("a", Cpus(1));
  Run& run = farm.Accepted(MakePipeline({MakeJob("one")}));
  const AttemptRef attempt = run.jobs[0].attempt();
  const MetricsReport report{
      farm.Session("a"), attempt, 0, {{0, WallTime{1}, {{"loss", 3}}}, {1, WallTime{2}, {{"loss", 2}}}}};
  CHECK(On(farm.state, farm.out, farm.now, {1, "a"}, report).has_value());
  On(farm.state, farm.out, farm.now, BulkLogSealed{attempt, LogRecord{5000, HashOf("log"), {}}});
  farm.Commit();
  FakeOutbox effects;
  State state = farm.Restart(effects);
  effects.Clear();
  const Job& job = state.FindRun(run.record.id)->jobs[0];
  CHECK(job.metrics_count == 2);
  CHECK(job.metrics == std::vector<Metric>{{"loss", 2}});
  REQUIRE(job.sealed.has_value());
  CHECK(job.sealed->length == 5000);
}

TEST_CASE("restore: ids, numbers and request ids go on where they were") {
  Lived farm;
  farm.Joins("a", Cpus(1));
  Run& run = farm.Accepted(MakePipeline({MakeJob("one", {}, 3)}));
  FakeOutbox effects;
  State state = farm.Restart(effects);
  effects.Clear();
  const SharedSpec spec = ShareSpec(MakePipeline({MakeJob("one")}));
  const PipelineId pipeline = PipelineAt(state, effects, farm.now, {"fashion", {}, ""}).id;
  Run& next = AcceptRun(state, effects, farm.now, {.request = Uuid{5, 5}, .pipeline = pipeline, .spec = spec});
  CHECK(next.record.id == RunId{2});
  CHECK(next.record.number == 2);
  CHECK(next.record.first_job == JobId{4});
  CHECK(state.requests.at(run.record.request) == run.record.id);
  StartRun(state, farm.now, next);
  effects.Clear();
}

TEST_CASE("restore: agents go on by the lease that they were told, which may be another than ours") {
  ControllerFarm farm;
  Restored restored;
  restored.boot = 3;
  restored.agents.resize(2);
  restored.agents[0].name = "a";
  restored.agents[0].lease = std::chrono::ceil<milliseconds>(2 * farm.state.settings.lease);
  restored.agents[1].name = "b";  // on record from before leases were
  FakeOutbox effects;
  const State state = RestoreState(farm.state.settings, restored, farm.now, effects);
  CHECK(state.agents.at("a").lease == 2 * farm.state.settings.lease);
  CHECK(state.agents.at("b").lease == farm.state.settings.lease);
  CHECK(effects.empty());
}

TEST_CASE("restore: pushes that were under way are imported again, repositories looked at") {
  ControllerFarm farm;
  Restored restored;
  restored.boot = 3;
  restored.triggers = {{Uuid{1, 2}, "/srv/a.git", "refs/heads/main", "old", "new"}};
  SUBCASE("recorded before tries were counted") {}
  SUBCASE("in their first try") {
    restored.triggers[0].tries = 1;
  }
  const std::uint32_t tries = restored.triggers[0].tries;
  restored.repositories = {{"/srv/a.git", {{"refs/heads/main", "new"}}, true}};
  FakeOutbox effects;
  const State state = RestoreState(farm.state.settings, restored, farm.now, effects);
  CHECK(effects.Stored<TriggerRecord>().tries == tries + 1);
  const auto import = effects.Git<ImportCommit>();
  CHECK(import.request.commit == "new");
  CHECK(state.pushes.at(import.ticket).importing);
  CHECK(effects.Git<LookAtRefs>().repository == "/srv/a.git");
  CHECK(effects.empty());
}

TEST_CASE("restore: a job whose record could not be read fails, and what does not need it goes on") {
  Lived farm;
  farm.Joins("a", Cpus(3));
  Run& run = farm.Accepted(MakePipeline({MakeJob("one"), MakeJob("two"), MakeJob("three", {"one"})}));
  Restored loaded = farm.disk.Load();
  const JobId lost = farm.JobOf(run, "one").id;
  std::erase_if(loaded.jobs, [&](const JobRecord& job) { return job.id == lost; });
  loaded.unreadable_jobs = {lost};
  FakeOutbox effects;
  State state = RestoreState(farm.state.settings, std::move(loaded), farm.now, effects);
  state.CheckInvariants();
  Run& again = *state.FindRun(run.record.id);
  CHECK(again.jobs[0].state == JobState::kFailed);
  CHECK(again.jobs[0].attempts.back().outcome.detail.find("could not be read") != std::string::npos);
  CHECK(again.jobs[1].state == JobState::kAssigned);
  CHECK(again.jobs[2].state == JobState::kSkipped);
  CHECK(effects.Stored<JobRecord>().id == lost);
  effects.Clear();
}

TEST_CASE(
    "restore: jobs of an agent whose record could not be read stay on it, and its next report says how many metrics "
    "there were") {
  Lived farm;
  farm.Joins("a", Cpus(3));
  Run& run = farm.Accepted(MakePipeline({MakeJob("one")}));
  Restored loaded = farm.disk.Load();
  loaded.agents.clear();
  const AttemptRef attempt = farm.JobOf(run, "one").attempt();
  loaded.unreadable_metrics = {attempt};
  FakeOutbox effects;
  State state = RestoreState(farm.state.settings, std::move(loaded), farm.now, effects);
  state.CheckInvariants();
  CHECK(state.agents.at("a").name == "a");
  CHECK(state.agents.at("a").booked.jobs.size() == 1);
  CHECK_FALSE(state.agents.at("a").link.session);
  effects.Clear();
  On(state, effects, farm.now, {9, "a"}, farm.Registration("a", Cpus(3), {{attempt, Phase::kRunning}}));
  effects.Clear();
  const SessionId session = state.agents.at("a").link.session->id;
  REQUIRE(On(state, effects, farm.now, {9, "a"}, MetricsReport{session, attempt, 7, std::vector<MetricLine>(2)})
              .has_value());
  CHECK(effects.Stored<MetricsRecord>().first == 7);
  CHECK(effects.ToAgent<MetricsAck>(9).count == 9);
  REQUIRE(On(state, effects, farm.now, {9, "a"}, MetricsReport{session, attempt, 11, std::vector<MetricLine>(2)})
              .has_value());
  CHECK(effects.ToAgent<MetricsAck>(9).count == 9);  // a gap, as ever
  effects.Clear();
}

TEST_CASE("restore: a log whose seal could not be read is what the agent's report says of it") {
  Lived farm;
  farm.Joins("a", Cpus(1));
  Run& run = farm.Accepted(MakePipeline({MakeJob("one")}));
  const AttemptRef attempt = run.jobs[0].attempt();
  On(farm.state, farm.out, farm.now, BulkLogSealed{attempt, LogRecord{5000, HashOf("log"), {}}});
  farm.Commit();
  Finished report = farm.Report(run.jobs[0]);
  report.log_length = 5000;
  report.log_hash = HashOf("log");
  report.small_log.reset();
  for (const bool known : {false, true}) {
    CAPTURE(known);
    Restored loaded = farm.disk.Load();
    loaded.seals.clear();
    if (known) loaded.unreadable_seals = {attempt};
    FakeOutbox effects;
    State state = RestoreState(farm.state.settings, std::move(loaded), farm.now, effects);
    On(state, effects, farm.now, {9, "a"}, farm.Registration("a", Cpus(1), {{attempt, Phase::kReporting}}));
    effects.Clear();
    report.session = state.agents.at("a").link.session->id;
    // Without the record's name it may be a log that was never sealed, and the agent has to seal it first.
    CHECK(On(state, effects, farm.now, {9, "a"}, report).has_value() == known);
    const Job& job = state.FindRun(run.record.id)->jobs[0];
    REQUIRE(job.attempts.size() == (known ? 1 : 0));
    if (!known) continue;
    CHECK(job.state == JobState::kPassed);
    CHECK(job.attempts[0].log == LogRecord{5000, HashOf("log"), {LogStorage::kOwnFile, 0, 0}});
    CHECK(effects.Stored<EraseSeal>().key == attempt);
    effects.Clear();
  }
}

TEST_CASE("restore: no job starts without the artifacts of a job whose record could not be read") {
  Lived farm;
  farm.Joins("a", Cpus(2));
  Run& run = farm.Accepted(MakePipeline({MakeJob("one"), MakeJob("two", {"one"}, 2)}));
  farm.Says(farm.Report(farm.JobOf(run, "one")), "a");
  Finished lost = farm.Report(run.jobs[1]);
  lost.outcome.kind = OutcomeKind::kLost;
  REQUIRE(farm.Tell("a", lost).has_value());
  farm.Commit();  // The first shard of "two" is ready again, the second one is on the agent.
  REQUIRE(run.jobs[1].state == JobState::kReady);
  REQUIRE(run.jobs[2].OnAgent());
  Restored loaded = farm.disk.Load();
  std::erase_if(loaded.jobs, [&](const JobRecord& job) { return job.id == run.jobs[0].id; });
  loaded.unreadable_jobs = {run.jobs[0].id};
  FakeOutbox effects;
  State state = RestoreState(farm.state.settings, std::move(loaded), farm.now, effects);
  state.CheckInvariants();
  const Run& again = *state.FindRun(run.record.id);
  CHECK(again.jobs[0].state == JobState::kFailed);
  CHECK(again.jobs[1].state == JobState::kSkipped);
  CHECK(again.jobs[2].cancelling);
  effects.Clear();
}

TEST_CASE("restore: a job is cancelled also where the record of what it needs is lost with that of what this needs") {
  Lived farm;
  farm.Joins("a", Cpus(2));
  Run& run = farm.Accepted(MakePipeline({MakeJob("one"), MakeJob("two", {"one"}), MakeJob("three", {"two"})}));
  farm.Says(farm.Report(farm.JobOf(run, "one")), "a");
  farm.Says(farm.Report(farm.JobOf(run, "two")), "a");
  REQUIRE(run.jobs[2].OnAgent());
  Restored loaded = farm.disk.Load();
  loaded.unreadable_jobs = {run.jobs[0].id, run.jobs[1].id};
  std::erase_if(loaded.jobs, [&](const JobRecord& job) { return job.id != run.jobs[2].id; });
  FakeOutbox effects;
  State state = RestoreState(farm.state.settings, std::move(loaded), farm.now, effects);
  state.CheckInvariants();
  CHECK(state.FindRun(run.record.id)->jobs[2].cancelling);
  effects.Clear();
}

TEST_CASE("restore: the lease of an agent whose record could not be read counts as long as any may be") {
  Lived farm;
  farm.Joins("a", Cpus(1));
  farm.Joins("b", Cpus(1));
  farm.Accepted(MakePipeline({MakeJob("one")}));
  const std::string agent = farm.state.FindJob(JobId{1}).second->agent;
  for (const std::chrono::milliseconds others :
       {std::chrono::milliseconds(30'000), std::chrono::milliseconds(9'000'000)}) {
    Restored loaded = farm.disk.Load();
    std::erase_if(loaded.agents, [&](const AgentRecord& record) { return record.name == agent; });
    REQUIRE(loaded.agents.size() == 1);
    loaded.agents[0].lease = others;
    FakeOutbox effects;
    // Without a job it counts as well: it may get one as soon as it registers.
    loaded.unreadable_agents = {"c"};
    State state = RestoreState(farm.state.settings, std::move(loaded), farm.now, effects);
    CHECK(state.agents.at(agent).lease == std::max<Duration>(std::chrono::hours(1), others));
    On(state, effects, farm.now, {9, "c"}, farm.Registration("c", Cpus(1)));
    CHECK(state.agents.at("c").lease == std::max<Duration>(std::chrono::hours(1), others));
    effects.Clear();
  }
}
