#include "controller/reactor/transitions.h"

#include "tests/support/controller_farm.h"

using namespace furrow;
using namespace furrow::testing;

TEST_CASE("transitions: a job's assignment is recorded with its epoch, granted and sent") {
  ControllerFarm farm;
  const PeerId peer = farm.Connect("a");
  Run& run = farm.Accept(MakePipeline({MakeJob("test")}));
  AssignJob(farm.state, farm.out, farm.now, {run.jobs[0].id, "a", {}});
  const auto record = farm.out.Stored<JobRecord>();
  CHECK(record.state == JobState::kAssigned);
  CHECK(record.epoch == Epoch{1});
  CHECK(record.agent == "a");
  CHECK(record.incarnation == Machine("a"));
  const auto grant = farm.out.Bulk<BulkGrant>();
  CHECK(grant.attempt == run.jobs[0].attempt());
  CHECK(grant.agent == "a");
  const auto assign = farm.out.ToAgent<Assign>(peer);
  CHECK(assign.attempt == AttemptRef{run.jobs[0].id, Epoch{1}});
  CHECK(assign.session == farm.Session("a"));
  CHECK(assign.run_name == "fashion#1");
  CHECK(farm.out.empty());
}

TEST_CASE("transitions: a job starts when all its needs passed, and gets their artifacts in the file's order") {
  ControllerFarm farm;
  const PeerId peer = farm.Connect("a", Cpus(4));
  Run& run = farm.Accept(MakePipeline({MakeJob("one"), MakeJob("two"), MakeJob("both", {"one", "two"})}));
  farm.Plan();
  farm.Finish(farm.JobOf(run, "two"), 0, {}, HashOf("two"));
  CHECK(farm.StateOf(run, "both") == JobState::kBlocked);
  farm.Finish(farm.JobOf(run, "one"), 0, {}, HashOf("one"));
  CHECK(farm.StateOf(run, "both") == JobState::kReady);
  EndTurn(farm.state, farm.out, farm.now);
  const std::vector<Hash> trees{HashOf("one"), HashOf("two")};
  const auto grant = farm.out.Bulk<BulkGrant>();
  CHECK(grant.attempt == farm.JobOf(run, "both").attempt());
  CHECK(*grant.trees == trees);  // what the agent is told of and may fetch is the same
  CHECK(farm.out.ToAgent<Assign>(peer).trees == trees);
  farm.out.Clear();
}

TEST_CASE("transitions: what needs a failed job is skipped, to the end of the chain, and the run fails once") {
  ControllerFarm farm;
  farm.Connect("a");
  Run& run = farm.Accept(MakePipeline({MakeJob("one"), MakeJob("two", {"one"}, 3), MakeJob("three", {"two"})}));
  farm.Plan();
  REQUIRE(farm.Tell("a", farm.Report(farm.JobOf(run, "one"), 3)).has_value());
  CHECK(farm.StateOf(run, "one") == JobState::kFailed);
  CHECK(farm.out.Stored<JobRecord>().state == JobState::kFailed);
  for (int i = 0; i < 4; ++i) CHECK(farm.out.Stored<JobRecord>().state == JobState::kSkipped);
  const auto record = farm.out.Stored<RunRecord>();
  CHECK(record.state == RunState::kFailed);
  CHECK(record.note == "fashion#1/one failed");
  CHECK(record.jobs_failed == 1);
  CHECK(farm.out->records.empty());
  farm.out.Clear();
}

TEST_CASE("transitions: two failed shards skip what needs them once") {
  ControllerFarm farm;
  farm.Connect("a");
  Run& run = farm.Accept(MakePipeline({MakeJob("test", {}, 2), MakeJob("gate", {"test"})}));
  farm.Plan();
  farm.Finish(farm.JobOf(run, "test", 0), 1);
  CHECK(farm.StateOf(run, "gate") == JobState::kSkipped);
  CHECK_FALSE(run.Ended());
  farm.Finish(farm.JobOf(run, "test", 1), 1);
  CHECK(run.record.state == RunState::kFailed);
  CHECK(run.record.jobs_failed == 2);
}

TEST_CASE("transitions: a chain as long as a pipeline may be is skipped without a deep stack") {
  ControllerFarm farm;
  farm.Connect("a");
  std::vector<JobSpec> chain{MakeJob("j0")};
  for (std::size_t i = 1; i < kMaxJobs; ++i)
    chain.push_back(MakeJob("j" + std::to_string(i), {"j" + std::to_string(i - 1)}));
  Run& run = farm.Accept(MakePipeline(std::move(chain)));
  farm.Plan();
  farm.Finish(run.jobs[0], 1);
  CHECK(run.Ended());
  CHECK(run.jobs.back().state == JobState::kSkipped);
}

TEST_CASE("transitions: a job that may fail does not fail its run, and what needs it starts") {
  ControllerFarm farm;
  farm.Connect("a");
  JobSpec lint = MakeJob("lint");
  lint.allow_failure = true;
  Run& run = farm.Accept(MakePipeline({lint, MakeJob("next", {"lint"})}));
  farm.Plan();
  farm.Finish(farm.JobOf(run, "lint"), 1);
  CHECK(farm.StateOf(run, "lint") == JobState::kFailed);
  CHECK(farm.StateOf(run, "next") == JobState::kReady);
  farm.Plan();
  farm.Finish(farm.JobOf(run, "next"));
  CHECK(run.record.state == RunState::kPassed);
  CHECK(run.record.jobs_failed == 1);
}

TEST_CASE("transitions: a skipped job that may fail lets what needs it start") {
  ControllerFarm farm;
  farm.Connect("a");
  JobSpec lint = MakeJob("lint", {"build"});
  lint.allow_failure = true;
  Run& run = farm.Accept(MakePipeline({MakeJob("build"), lint, MakeJob("report", {"lint"})}));
  farm.Plan();
  farm.Finish(farm.JobOf(run, "build"), 1);
  CHECK(farm.StateOf(run, "lint") == JobState::kSkipped);
  CHECK(farm.StateOf(run, "report") == JobState::kReady);
  CHECK_FALSE(run.Ended());
}

TEST_CASE("transitions: the retry rule decides, up to its most") {
  struct Case {
    const char* name;
    RetryRule rule;
    OutcomeKind kind;
    std::int32_t code;
    bool again;
  };
  const RetryRule lost{2, true, false, {}};
  const RetryRule codes{2, false, false, {75, 137}};
  const RetryRule failure{2, false, true, {}};
  const Case cases[] = {
      {"lost, by default", lost, OutcomeKind::kLost, 0, true},
      {"inputs could not be fetched", lost, OutcomeKind::kInputFailed, 0, true},
      {"artifacts could not be brought", lost, OutcomeKind::kUploadFailed, 0, false},
      {"a plain failure, by default", lost, OutcomeKind::kExited, 1, false},
      {"a signal, by default", lost, OutcomeKind::kSignaled, 9, false},
      {"a named exit code", codes, OutcomeKind::kExited, 75, true},
      {"a named exit code, by a signal", codes, OutcomeKind::kSignaled, 9, true},
      {"another exit code", codes, OutcomeKind::kExited, 1, false},
      {"lost, where not named", codes, OutcomeKind::kLost, 0, false},
      {"any failure: exit", failure, OutcomeKind::kExited, 1, true},
      {"any failure: signal", failure, OutcomeKind::kSignaled, 9, true},
      {"any failure: timeout", failure, OutcomeKind::kTimedOut, 0, true},
      {"any failure: a missing artifact", failure, OutcomeKind::kArtifactMissing, 0, true},
      {"no retries at all", RetryRule{0, true, true, {1}}, OutcomeKind::kLost, 0, false},
  };
  for (const Case& one : cases) {
    CAPTURE(one.name);
    ControllerFarm farm;
    farm.Connect("a");
    JobSpec spec = MakeJob("test");
    spec.retry = one.rule;
    Run& run = farm.Accept(MakePipeline({spec}));
    farm.Plan();
    farm.End(run.jobs[0], one.kind, one.code);
    CHECK(run.jobs[0].state == (one.again ? JobState::kReady : JobState::kFailed));
    if (!one.again) continue;
    farm.Plan();
    CHECK(run.jobs[0].epoch == Epoch{2});
    farm.End(run.jobs[0], one.kind, one.code);
    farm.Plan();
    farm.End(run.jobs[0], one.kind, one.code);
    CHECK(run.jobs[0].state == JobState::kFailed);  // two further attempts, no third
    CHECK(run.jobs[0].attempts.size() == 3);
    CHECK(run.record.state == RunState::kFailed);
  }
}

TEST_CASE("transitions: a retried job is recorded as ready before anybody can have it") {
  ControllerFarm farm;
  farm.Connect("a");
  Run& run = farm.Accept(MakePipeline({MakeJob("test")}));
  farm.Plan();
  Finished message = farm.Report(run.jobs[0]);
  message.outcome.kind = OutcomeKind::kLost;
  REQUIRE(farm.Tell("a", message).has_value());
  const auto record = farm.out.Stored<JobRecord>();
  CHECK(record.state == JobState::kReady);
  CHECK(record.agent.empty());
  CHECK(record.retries == 1);
  CHECK(run.jobs[0].attempts.size() == 1);
  farm.out.Bulk<BulkLogFinal>();
  farm.out.Bulk<BulkRevoke>();
  farm.out.ToAgent<FinishedAck>(farm.Peer("a"));
  CHECK(farm.out.empty());
}

TEST_CASE("transitions: what a job took from its agent is given back, GPUs too") {
  ControllerFarm farm;
  Offer offer = Cpus(4);
  offer.gpus = {{"GPU-1", "H100", 1}};
  farm.Connect("a", offer);
  JobSpec half = MakeJob("half", {}, 2);
  half.resources = {1500, 500, "", 0, 1000};
  Run& run = farm.Accept(MakePipeline({half}));
  farm.Plan();
  const Agent& agent = farm.state.agents.at("a");
  CHECK(agent.booked.load.cpu_milli == 3000);
  CHECK(agent.booked.load.memory_bytes == 2000);
  CHECK(agent.booked.load.gpu_milli.at("GPU-1") == 1000);
  farm.Finish(run.jobs[0]);
  CHECK(agent.booked.load.gpu_milli.at("GPU-1") == 500);
  farm.Finish(run.jobs[1]);
  CHECK(agent.booked.load.cpu_milli == 0);
  CHECK(agent.booked.load.memory_bytes == 0);
  CHECK(agent.booked.load.gpu_milli.empty());
}

TEST_CASE("transitions: needed metrics are means over shards, weighted by examples where all say them") {
  ControllerFarm farm;
  farm.Connect("a", Cpus(8));
  JobSpec gate = MakeJob("gate", {"test", "other"});
  gate.steps = {{"check", CheckStep{{{"accuracy", Comparison::kGreaterEqual, 0.5}}}}};
  Run& run = farm.Accept(MakePipeline({MakeJob("test", {}, 2), MakeJob("other", {}, 2), gate}));
  farm.Plan();
  farm.Finish(farm.JobOf(run, "test", 0), 0, {{"accuracy", 1.0}, {"examples", 100}, {"loss", 4}});
  farm.Finish(farm.JobOf(run, "test", 1), 0, {{"accuracy", 0.5}, {"examples", 300}});
  farm.Finish(farm.JobOf(run, "other", 0), 0, {{"speed", 10}, {"loss", 2}});
  farm.Finish(farm.JobOf(run, "other", 1), 0, {{"speed", 20}});
  const auto metrics = NeededMetrics(run, run.groups[2]);
  std::map<std::string, double> value;
  for (const Metric& metric : metrics) value[metric.name] = metric.value;
  CHECK(value.at("accuracy") == doctest::Approx(0.625));
  CHECK(value.at("examples") == 400);
  CHECK(value.at("speed") == 15);
  CHECK(value.at("loss") == 3);  // one of the two has no weight: a plain mean
  EndTurn(farm.state, farm.out, farm.now);
  CHECK(farm.out.ToAgent<Assign>(farm.Peer("a")).metrics == Metrics{{"accuracy", value.at("accuracy")}});
  farm.out.Clear();
}

TEST_CASE("transitions: ended runs are forgotten oldest first, when who watches them has heard of the end") {
  ControllerFarm farm;
  farm.Connect("a");
  std::vector<RunId> ids;
  for (int i = 0; i < 3; ++i) {
    Run& run = farm.Accept(MakePipeline({MakeJob("test")}));
    ids.push_back(run.record.id);
    farm.Plan();
    farm.Finish(run.jobs[0]);
  }
  On(farm.state, farm.out, farm.now, {kAlice, 1}, Watch{{"fashion", 1, "", {}}});
  farm.state.settings.keep_finished_runs = 2;
  CHECK(farm.state.FindRun(ids[0]) != nullptr);
  EndTurn(farm.state, farm.out, farm.now);
  CHECK(farm.out.ToClient<RunUpdate>(kAlice, 1).run_ended);
  CHECK(farm.state.FindRun(ids[0]) == nullptr);
  CHECK(farm.state.FindJob(JobId{1}).second == nullptr);
  CHECK(farm.state.FindRun(ids[1]) != nullptr);
  farm.state.settings.keep_finished_runs = 1;
  EndTurn(farm.state, farm.out, farm.now);
  CHECK(farm.state.FindRun(ids[1]) == nullptr);
  CHECK(farm.state.FindRun(ids[2]) != nullptr);
  farm.state.CheckInvariants();
}

TEST_CASE("transitions: a job behind the artifacts of every shard that a pipeline may have is assigned") {
  ControllerFarm farm;
  farm.Connect("a", Cpus(20'000));
  JobSpec many = MakeJob("many", {}, 20'000);
  many.artifacts = {"x"};
  Run& run = farm.Accept(MakePipeline({many, MakeJob("all", {"many"})}));
  for (std::uint32_t shard = 0; shard < 20'000; ++shard) {
    if (farm.StateOf(run, "many", shard) == JobState::kReady) farm.Plan();
    Finished report = farm.Report(farm.JobOf(run, "many", shard));
    report.artifacts = HashOf(std::to_string(shard));
    REQUIRE(farm.Tell("a", report).has_value());
  }
  farm.out.Clear();
  EndTurn(farm.state, farm.out, farm.now);
  const auto assign = farm.out.ToAgent<Assign>(farm.Peer("a"));
  CHECK(assign.trees.size() == 20'000);
  Assign most = assign;
  most.trees.resize(kMaxTreesPerAssign);
  CHECK(Encode(ToAgent{most}).has_value());
  farm.out.Clear();
}

TEST_CASE("transitions: a check is given the metrics that it names, of thousands that shards have of their own") {
  ControllerFarm farm;
  farm.Connect("a", Cpus(40));
  JobSpec gate = MakeJob("gate", {"test"});
  gate.steps = {{"check", CheckStep{{{"loss-7", Comparison::kLess, 1}}}},
                {"other", CheckStep{{{"accuracy", Comparison::kGreater, 0}, {"loss-7", Comparison::kGreater, 0}}}}};
  Run& run = farm.Accept(MakePipeline({MakeJob("test", {}, 20), gate}));
  farm.Plan();
  for (std::uint32_t shard = 0; shard < 20; ++shard) {
    std::vector<Metric> metrics;
    for (int i = 0; i < 4000; ++i) metrics.push_back({"own-" + std::to_string(shard) + "-" + std::to_string(i), 1});
    metrics.push_back({"loss-7", 0.5});
    farm.Finish(farm.JobOf(run, "test", shard), 0, std::move(metrics));
    CHECK(farm.JobOf(run, "test", shard).metrics.size() == 4001);
  }
  EndTurn(farm.state, farm.out, farm.now);
  const auto assign = farm.out.ToAgent<Assign>(farm.Peer("a"));
  CHECK(assign.metrics == Metrics{{"loss-7", 0.5}});
  CHECK(assign.reported.starts_with("loss-7, own-0-0, "));
  CHECK(assign.reported.ends_with(" more"));
  CHECK(assign.reported.size() < 2000);
  farm.out.Clear();
}
