#include "controller/reactor/runs.h"

#include "common/wire/selector.h"
#include "controller/views/runs.h"
#include "tests/support/controller_farm.h"

using namespace furrow;
using namespace furrow::testing;

namespace {

constexpr const char* kFile = R"(name: fashion
jobs:
  train:
    steps: [{ run: "true" }]
  test:
    needs: [train]
    shards: 2
    steps: [{ run: "true" }]
)";

Submit Submission(std::uint64_t id, const std::string& text = kFile) {
  Submit request;
  request.request = Uuid{9, id};
  request.file = "furrow.yaml";
  request.text = text;
  request.default_name = "folder";
  return request;
}

Selector Of(const std::string& text) {
  return ParseSelector(text).value();
}

Retry RetryOf(std::uint64_t id, bool failed_only) {
  return {Uuid{8, id}, Of("fashion#1"), failed_only};
}

}  // namespace

TEST_CASE("runs: a submission is recorded before it is answered, and numbered by its pipeline") {
  ControllerFarm farm;
  farm.Submit({kAlice, 1}, Submission(1));
  const auto record = farm.out.Stored<RunRecord>();
  CHECK(record.id == RunId{1});
  CHECK(record.number == 1);
  CHECK(record.first_job == JobId{1});
  CHECK(record.request == Uuid{9, 1});
  const auto answer = farm.out.ToClient<Submitted>(kAlice, 1);
  CHECK(answer.run == RunId{1});
  CHECK(answer.name == "fashion#1");
  CHECK_FALSE(answer.repeated);
  CHECK(farm.out.empty());
  farm.Submit({kAlice, 2}, Submission(2));
  CHECK(farm.out.Stored<RunRecord>().first_job == JobId{4});
  CHECK(farm.out.ToClient<Submitted>(kAlice, 2).name == "fashion#2");
  CHECK(farm.out.empty());
}

TEST_CASE("runs: the same request id is the same submission") {
  ControllerFarm farm;
  farm.Submit({kAlice, 1}, Submission(1));
  farm.out.Clear();
  farm.Submit({901, 5}, Submission(1, "nonsense, this time"));
  const auto answer = farm.out.ToClient<Submitted>(901, 5);
  CHECK(answer.run == RunId{1});
  CHECK(answer.repeated);
  CHECK(farm.out.empty());
}

TEST_CASE("runs: every mistake of a pipeline file is answered at once, and nothing is accepted") {
  ControllerFarm farm;
  farm.Submit({kAlice, 1},
              Submission(1, "name: fashion\njobs:\n  train:\n    setps: []\n  test:\n    needs: [trian]\n"));
  const auto failure = farm.out.ToClient<Failure>(kAlice, 1);
  CHECK(failure.code == Errc::kInvalid);
  CHECK(failure.file == "furrow.yaml");
  CHECK(failure.diagnostics.size() >= 2);
  CHECK(farm.state.runs.empty());
  CHECK(farm.out.empty());
}

TEST_CASE("runs: while the disk is full new work is refused, known work answered") {
  ControllerFarm farm;
  farm.Submit({kAlice, 1}, Submission(1));
  farm.out.Clear();
  farm.state.refusing = "the disk is full";
  farm.Submit({kAlice, 2}, Submission(2));
  const auto failure = farm.out.ToClient<Failure>(kAlice, 2);
  CHECK(failure.code == Errc::kUnavailable);
  CHECK(failure.message == "no new work is accepted: the disk is full");
  farm.Submit({kAlice, 3}, Submission(1));
  CHECK(farm.out.ToClient<Submitted>(kAlice, 3).repeated);
  On(farm.state, farm.out, farm.now, {kAlice, 4}, RetryOf(1, false));
  CHECK(farm.out.ToClient<Failure>(kAlice, 4).code == Errc::kUnavailable);
  CHECK(farm.out.empty());
}

TEST_CASE("runs: cancelling a run ends what waits, and asks agents to end the rest") {
  ControllerFarm farm;
  const PeerId peer = farm.Connect("a");
  Run& run = farm.Accept(MakePipeline({MakeJob("train"), MakeJob("test", {"train"}, 2)}));
  farm.Plan();
  On(farm.state, farm.out, farm.now, {kAlice, 1}, Cancel{Of("fashion#1"), "wrong branch"});
  CHECK(farm.out.Stored<RunRecord>().cancelling);
  CHECK(farm.out.Stored<JobRecord>().cancelling);
  for (int i = 0; i < 2; ++i) CHECK(farm.out.Stored<JobRecord>().state == JobState::kCancelled);
  const auto kill = farm.out.ToAgent<Kill>(peer);
  CHECK(kill.reason == "cancelled: wrong branch");
  CHECK_FALSE(kill.forget);
  CHECK(farm.out.ToClient<Done>(kAlice, 1).text == "cancelling 3 jobs of fashion#1");
  CHECK(farm.out.empty());
  CHECK_FALSE(run.Ended());
  farm.End(run.jobs[0], OutcomeKind::kKilled);
  CHECK(run.jobs[0].state == JobState::kCancelled);
  CHECK(run.record.state == RunState::kCancelled);
  CHECK(run.record.note == "cancelled: wrong branch");
  On(farm.state, farm.out, farm.now, {kAlice, 2}, Cancel{Of("fashion#1"), ""});
  CHECK(farm.out.ToClient<Failure>(kAlice, 2).code == Errc::kNotFound);
  CHECK(farm.out.empty());
}

TEST_CASE("runs: a job that passes while it is being cancelled has passed, and its run is cancelled") {
  ControllerFarm farm;
  farm.Connect("a");
  Run& run = farm.Accept(MakePipeline({MakeJob("train"), MakeJob("test", {"train"})}));
  farm.Plan();
  On(farm.state, farm.out, farm.now, {kAlice, 1}, Cancel{Of("fashion#1/train"), ""});
  farm.out.Clear();
  farm.Finish(run.jobs[0]);
  CHECK(run.jobs[0].state == JobState::kPassed);
  CHECK(run.jobs[1].state == JobState::kReady);

  On(farm.state, farm.out, farm.now, {kAlice, 2}, Cancel{Of("fashion#1"), ""});
  farm.out.Clear();
  CHECK(run.jobs[1].state == JobState::kCancelled);
  CHECK(run.record.state == RunState::kCancelled);
}

TEST_CASE("runs: cancelling one shard leaves its siblings; what needs the job is skipped") {
  ControllerFarm farm;
  farm.Connect("a", Cpus(8));
  Run& run = farm.Accept(MakePipeline({MakeJob("test", {}, 3), MakeJob("gate", {"test"})}));
  On(farm.state, farm.out, farm.now, {kAlice, 1}, Cancel{Of("fashion#1/test/1"), ""});
  CHECK(farm.out.ToClient<Done>(kAlice, 1).text == "cancelling 1 job of fashion#1");
  CHECK(farm.out.Stored<JobRecord>().id == run.jobs[1].id);
  farm.out.Clear();
  CHECK(farm.StateOf(run, "test", 0) == JobState::kReady);
  CHECK(farm.StateOf(run, "test", 1) == JobState::kCancelled);
  CHECK(farm.StateOf(run, "gate") == JobState::kSkipped);
  farm.Plan();
  farm.Finish(run.jobs[0]);
  farm.Finish(run.jobs[2]);
  CHECK(run.record.state == RunState::kCancelled);
}

TEST_CASE("runs: a job that is lost while it is being cancelled is not tried again") {
  ControllerFarm farm;
  farm.Connect("a");
  Run& run = farm.Accept(MakePipeline({MakeJob("train")}));
  farm.Plan();
  On(farm.state, farm.out, farm.now, {kAlice, 1}, Cancel{Of("fashion#1/train"), ""});
  farm.out.Clear();
  farm.End(run.jobs[0], OutcomeKind::kLost);
  CHECK(run.jobs[0].state == JobState::kCancelled);
}

TEST_CASE("runs: cancelling what is not there says so") {
  ControllerFarm farm;
  farm.Accept(MakePipeline({MakeJob("train")}));
  On(farm.state, farm.out, farm.now, {kAlice, 1}, Cancel{Of("other#1"), ""});
  CHECK(farm.out.ToClient<Failure>(kAlice, 1).message == "nothing to cancel: other#1 is not a live run");
  On(farm.state, farm.out, farm.now, {kAlice, 2}, Cancel{Of("fashion#1/tset"), ""});
  CHECK(farm.out.ToClient<Failure>(kAlice, 2).message == "fashion#1 has no job tset");
  On(farm.state, farm.out, farm.now, {kAlice, 3}, Cancel{Of("fashion#1/train/4"), ""});
  CHECK(farm.out.ToClient<Failure>(kAlice, 3).code == Errc::kNotFound);
  CHECK(farm.out.empty());
}

TEST_CASE("runs: a live run is not retried; another is looked for in history") {
  ControllerFarm farm;
  farm.Accept(MakePipeline({MakeJob("train")}));
  On(farm.state, farm.out, farm.now, {kAlice, 1}, RetryOf(1, true));
  CHECK(farm.out.ToClient<Failure>(kAlice, 1).message == "fashion#1 has not ended; cancel it first or wait");
  On(farm.state, farm.out, farm.now, {kAlice, 2}, Cancel{Of("fashion#1"), ""});
  farm.out.Clear();
  On(farm.state, farm.out, farm.now, {kAlice, 3}, RetryOf(1, true));
  const HistoryQuery query = farm.out.Asked();
  CHECK(query.asker == Asker{kAlice, 3});
  CHECK(std::get<Retry>(query.request) == RetryOf(1, true));
  CHECK(farm.out.empty());
}

TEST_CASE("runs: retry --failed takes over what passed, with artifacts, metrics and logs, and runs the rest") {
  ControllerFarm farm;
  const PeerId peer = farm.Connect("a", Cpus(8));
  JobSpec gate = MakeJob("gate", {"test"});
  gate.steps = {{"check", CheckStep{{{"accuracy", Comparison::kGreaterEqual, 0.5}}}}};
  Run& old = farm.Accept(
      MakePipeline({MakeJob("prepare"), MakeJob("train", {"prepare"}), MakeJob("test", {"train"}, 2), gate}));
  farm.Plan();
  farm.Finish(farm.JobOf(old, "prepare"), 0, {}, HashOf("net"));
  farm.Plan();
  farm.Finish(farm.JobOf(old, "train"), 0, {}, HashOf("model"));
  farm.Plan();
  farm.Finish(farm.JobOf(old, "test", 0), 0, {{"accuracy", 0.5}});
  farm.Finish(farm.JobOf(old, "test", 1), 1);
  REQUIRE(old.record.state == RunState::kFailed);

  On(farm.state, farm.out, farm.now, farm.Found({kAlice, 1}, RetryOf(1, true), old));
  Run& run = *farm.state.FindRun(RunId{2});
  const auto record = farm.out.Stored<RunRecord>();
  CHECK(record.retry_of == old.record.id);
  CHECK(record.number == 2);
  for (int i = 0; i < 3; ++i) CHECK(farm.out.Stored<JobRecord>().state == JobState::kPassed);
  CHECK(farm.out.ToClient<Submitted>(kAlice, 1).note == "retries fashion#1");
  CHECK(farm.out.empty());
  CHECK(farm.StateOf(run, "train") == JobState::kPassed);
  CHECK(farm.StateOf(run, "test", 0) == JobState::kPassed);
  CHECK(farm.StateOf(run, "test", 1) == JobState::kReady);
  CHECK(farm.StateOf(run, "gate") == JobState::kBlocked);
  WaitCauses causes(farm.state);
  const JobView view = ViewOf(causes, run, farm.JobOf(run, "train"));
  CHECK(view.log_run == old.record.id);
  CHECK(view.log_attempt == AttemptRef{farm.JobOf(old, "train").id, Epoch{1}});

  EndTurn(farm.state, farm.out, farm.now);
  const auto assign = farm.out.ToAgent<Assign>(peer);
  CHECK(assign.attempt == AttemptRef{farm.JobOf(run, "test", 1).id, Epoch{1}});
  CHECK(assign.trees == std::vector<Hash>{HashOf("model")});
  farm.out.Clear();
  farm.Finish(farm.JobOf(run, "test", 1), 0, {{"accuracy", 1.0}});
  EndTurn(farm.state, farm.out, farm.now);
  CHECK(farm.out.ToAgent<Assign>(peer).metrics == std::vector<Metric>{{"accuracy", 0.75}});
  farm.out.Clear();
  farm.Finish(farm.JobOf(run, "gate"), 1);

  // A retry of the retry still finds the log where it was written.
  On(farm.state, farm.out, farm.now, farm.Found({kAlice, 2}, RetryOf(2, true), run));
  Run& third = *farm.state.FindRun(RunId{3});
  CHECK(farm.JobOf(third, "train").reused_run == old.record.id);
  CHECK(farm.JobOf(third, "test", 1).reused_run == run.record.id);
  CHECK(farm.StateOf(third, "gate") == JobState::kReady);
  farm.out.Clear();
}

TEST_CASE("runs: a whole retry runs everything again, and the same retry twice is one") {
  ControllerFarm farm;
  farm.Connect("a");
  Run& old = farm.Accept(MakePipeline({MakeJob("train")}));
  farm.Plan();
  farm.Finish(old.jobs[0]);
  On(farm.state, farm.out, farm.now, farm.Found({kAlice, 1}, RetryOf(1, false), old));
  CHECK(farm.StateOf(*farm.state.FindRun(RunId{2}), "train") == JobState::kReady);
  farm.out.Clear();
  On(farm.state, farm.out, farm.now, farm.Found({kAlice, 2}, RetryOf(1, false), old));
  CHECK(farm.out.ToClient<Submitted>(kAlice, 2).repeated);
  CHECK(farm.out.empty());
}

TEST_CASE("runs: retry --failed of a run in which everything passed is refused") {
  ControllerFarm farm;
  farm.Connect("a");
  Run& old = farm.Accept(MakePipeline({MakeJob("one"), MakeJob("two", {"one"})}));
  farm.Plan();
  farm.Finish(old.jobs[0]);
  farm.Plan();
  farm.Finish(old.jobs[1]);
  On(farm.state, farm.out, farm.now, farm.Found({kAlice, 1}, RetryOf(1, true), old));
  const auto refused = farm.out.ToClient<Failure>(kAlice, 1);
  CHECK(refused.code == Errc::kRejected);
  CHECK(refused.message.find("every job of fashion#1 passed") != std::string::npos);
  CHECK(farm.state.FindRun(RunId{2}) == nullptr);
  CHECK(farm.out.empty());
}

TEST_CASE("runs: the requests of old runs that ended are forgotten in time") {
  ControllerFarm farm;
  Run& waiting = farm.Accept(MakePipeline({MakeJob("waits")}));
  const Uuid kept = waiting.record.request;
  for (std::uint64_t i = 1; i < 30'000; ++i) farm.state.requests[Uuid{7, i}] = RunId{i + 1};
  farm.state.counters.run = RunId{30'000};
  farm.Submit({kAlice, 1}, Submission(1));
  CHECK(farm.state.requests.size() <= 10'002);
  CHECK(farm.state.requests.contains(kept));
  CHECK(farm.state.requests.contains(Uuid{7, 29'999}));
  CHECK_FALSE(farm.state.requests.contains(Uuid{7, 1}));
  farm.out.Clear();
}
