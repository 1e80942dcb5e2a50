// What people read, as golden text.
#include "controller/cli/show/views.h"

#include <doctest/doctest.h>

#include "controller/cli/follow/live_view.h"
#include "controller/cli/show/json.h"
#include "controller/cli/show/views_repos.h"

namespace furrow::cli {
namespace {

constexpr ViewStyle kStyle{false, 0, WallTime{1'000'000}};

RunSummary SomeRun() {
  RunSummary run;
  run.pipeline = "fashion";
  run.number = 42;
  run.state = RunState::kFailed;
  run.source.branch = "main";
  run.source.commit = "0123456789abcdef";
  run.source.title = "tune\x1b[2J";
  run.source.dirty = true;
  run.submitted = WallTime{900'000};
  run.ended = WallTime{965'000};
  run.jobs.total = 4;
  run.jobs.passed = 2;
  run.jobs.failed = 1;
  return run;
}

JobView Job(std::uint64_t id, const char* name, JobState state, std::vector<std::string> needs) {
  JobView job;
  job.id = JobId{id};
  job.job = name;
  job.state = state;
  job.needs = std::move(needs);
  return job;
}

std::vector<JobView> SomeJobs() {
  std::vector<JobView> jobs{Job(1, "prepare", JobState::kPassed, {}), Job(2, "train", JobState::kPassed, {"prepare"}),
                            Job(3, "test", JobState::kFailed, {"train"}),
                            Job(4, "test", JobState::kRunning, {"train"})};
  jobs[0].epoch = jobs[1].epoch = jobs[2].epoch = Epoch{1};
  jobs[0].agent = jobs[1].agent = "gpu-1";
  jobs[0].ready = jobs[0].started = WallTime{900'000};
  jobs[0].ended = WallTime{902'500};
  jobs[1].ready = WallTime{902'500};
  jobs[1].started = WallTime{903'000};
  jobs[1].ended = WallTime{960'000};
  jobs[1].metrics = {{"accuracy", 0.8125}, {"loss", 1e-5}};
  for (std::uint32_t i : {2u, 3u}) {
    jobs[i].shard = i - 2;
    jobs[i].shard_count = 2;
    jobs[i].epoch = Epoch{i - 1};
    jobs[i].agent = i == 2 ? "gpu-1" : "gpu-2";
    jobs[i].ready = jobs[i].started = WallTime{960'000};
  }
  jobs[2].ended = WallTime{961'000};
  jobs[2].outcome = Outcome{OutcomeKind::kExited, 7, 1, ""};
  return jobs;
}

}  // namespace

TEST_CASE("views: a run is a tree of its jobs, shards summed up, control characters harmless") {
  CHECK(RenderRun(SomeRun(), SomeJobs(), kStyle) ==
        "fashion#42 failed in 1m05s  main 01234567+ tune?[2J\n"
        "JOB         STATE     SHARDS  WAITED   TIME  AGENT     METRICS                     NOTE\n"
        "prepare     ✓ passed           0.00s  2.50s  gpu-1\n"
        "└─ train    ✓ passed           0.50s  57.0s  gpu-1     accuracy=0.8125 loss=1e-05\n"
        "   └─ test  ✗ failed     1/2   0.00s  40.0s  gpu-1 +1                              attempt 2; shard 0: exit "
        "status "
        "7 in step 2\n");
}

TEST_CASE("views: of shards the note is of a failure first, and says how many more there are") {
  std::vector<JobView> jobs(5, Job(1, "test", JobState::kPassed, {}));
  for (std::uint32_t i = 0; i < 5; ++i) {
    jobs[i].id = JobId{i + 1};
    jobs[i].shard = i;
    jobs[i].shard_count = 5;
    jobs[i].outcome = Outcome{OutcomeKind::kExited, 0, 0, ""};
  }
  CHECK(SumUp(jobs)[0].note.empty());
  jobs[0].outcome->detail = "one line of FURROW_METRICS could not be kept";
  CHECK(SumUp(jobs)[0].note == "shard 0: one line of FURROW_METRICS could not be kept");
  jobs[2].outcome->detail = "another line";
  CHECK(SumUp(jobs)[0].note ==
        "shard 0: one line of FURROW_METRICS could not be kept (and of 1 more shard; `show RUN/JOB` lists them)");
  jobs[3].state = JobState::kFailed;
  jobs[3].outcome = Outcome{OutcomeKind::kExited, 7, 1, ""};
  CHECK(SumUp(jobs)[0].note == "shard 3: exit status 7 in step 2");
  jobs[4].state = JobState::kFailed;
  jobs[4].outcome = Outcome{OutcomeKind::kExited, 8, 1, ""};
  CHECK(SumUp(jobs)[0].note == "shard 3: exit status 7 in step 2 (and of 1 more shard; `show RUN/JOB` lists them)");
}

TEST_CASE("views: the document of the repositories is harmless for a terminal, too") {
  RepositoryList list;
  list.repositories.emplace_back().repository = "/srv/a\u009b31m\u202e.git";
  list.repositories.back().problem = "\x1b[31m";
  const std::string text = JsonRepositories(list);
  for (const char* raw : {"\u009b", "\u202e", "\x1b"}) CHECK(text.find(raw) == std::string::npos);
  CHECK(text.find("\\u009b31m\\u202e.git") != std::string::npos);
}

TEST_CASE("views: at 80 columns a note is whole, the failing step has its name, and what matters comes first") {
  ViewStyle narrow = kStyle;
  narrow.width = 80;
  std::vector<JobView> jobs = SomeJobs();
  jobs[1].metrics = {{"epoch", 9}, {"examples_per_second", 1e4}, {"loss", 0.5},
                     {"lr", 0.1},  {"test/accuracy", 0.75},      {"test/step", 7}};
  jobs[2].step = 2;
  jobs[2].step_name = "python3 -m pytest";
  const std::string text = RenderRun(SomeRun(), jobs, narrow);
  CHECK(text.find("loss=0.5 test/accuracy=0.75 epoch=9 +3\n") != std::string::npos);
  CHECK(text.find("\n    attempt 2; shard 0: exit status 7 in step 2, `python3 -m pytest`\n") != std::string::npos);
  CHECK(JsonRun(SomeRun(), jobs).find("\"step_name\": \"python3 -m pytest\"") != std::string::npos);
}

TEST_CASE("views: a run that waits for what cannot come is stuck, and says for what") {
  RunSummary run = SomeRun();
  run.state = RunState::kRunning;
  run.ended = WallTime{};
  CHECK(RenderRuns({{run}}, kStyle).find("running") != std::string::npos);
  run.stuck = "train: no agent carries the labels: a100";
  CHECK(RenderRuns({{run}}, kStyle).find("stuck") != std::string::npos);
  CHECK(RenderRuns({{run}}, kStyle).find("running") == std::string::npos);
  CHECK(RenderRun(run, {}, kStyle).find("stuck for 1m40s") != std::string::npos);
  CHECK(RenderRun(run, {}, kStyle).find("cannot come: train: no agent carries the labels: a100\n") !=
        std::string::npos);
}

TEST_CASE("views: an agent that says nothing is not just connected") {
  AgentView agent;
  agent.name = "gpu-1";
  agent.connected = true;
  agent.last_seen = WallTime{996'000};
  CHECK(RenderAgents({{agent}}, kStyle).find("connected") != std::string::npos);
  agent.last_seen = WallTime{990'000};
  CHECK(RenderAgents({{agent}}, kStyle).find("silent 10.0s") != std::string::npos);
  agent.connected = false;
  CHECK(RenderAgents({{agent}}, kStyle).find("away 10.0s") != std::string::npos);
}

TEST_CASE("views: the metrics of a run at 60 columns keep the values, and say what has no room") {
  ViewStyle narrow = kStyle;
  narrow.width = 60;
  MetricsAnswer answer;
  answer.series.push_back({"fashion#42/train", "test/accuracy", {1, 2, 3}, {0.5, 0.75, 0.625}, 3});
  const std::string text = RenderMetricTable(answer, narrow);
  CHECK(text.find("LAST") != std::string::npos);
  CHECK(text.find("0.625    0.5  0.75\n") != std::string::npos);
  CHECK(text.find("no room here for: ") != std::string::npos);
  CHECK(text.find("…") == std::string::npos);
}

TEST_CASE("views: who asks why hears how many jobs are not listed") {
  WaitReasons reasons{{{"fashion#42/test/3", "1 GPU", {}}}};
  CHECK(RenderReasons(reasons, kStyle).find("more") == std::string::npos);
  reasons.reasons.back().left_out = 234;
  CHECK(RenderReasons(reasons, kStyle).ends_with("\nand 234 more; ask for one job of the run\n"));
}

TEST_CASE("views: no line is wider than the terminal") {
  ViewStyle narrow = kStyle;
  narrow.width = 70;
  const std::string text = RenderShards(SomeRun(), SomeJobs(), narrow);
  std::size_t at = text.find('\n') + 1;
  for (std::size_t end = text.find('\n', at); end != std::string::npos; at = end + 1, end = text.find('\n', at))
    CHECK(Width(text.substr(at, end - at)) <= 70);
}

TEST_CASE("views: the branches of a tree are joined") {
  const std::vector<JobView> jobs{Job(1, "a", JobState::kPassed, {}), Job(2, "b", JobState::kPassed, {"a"}),
                                  Job(3, "c", JobState::kPassed, {"b"}), Job(4, "d", JobState::kPassed, {"a"}),
                                  Job(5, "e", JobState::kPassed, {})};
  std::string tree;
  for (const JobSum& sum : SumUp(jobs)) tree += sum.branch + sum.job + "\n";
  CHECK(tree == "a\n├─ b\n│  └─ c\n└─ d\ne\n");
}

TEST_CASE("views: the failing step stands before what its end means") {
  JobView job;
  job.step = 2;
  job.step_name = "make";
  const auto says = [&](Outcome outcome) {
    job.outcome = std::move(outcome);
    return ExplainEnd(job);
  };
  CHECK(says({OutcomeKind::kExited, 127, 1, "no `make` here"}) == "exit status 127 in step 2, `make`: no `make` here");
  CHECK(says({OutcomeKind::kExited, 3, 1, ""}) == "exit status 3 in step 2, `make`");
  CHECK(says({OutcomeKind::kTimedOut, 0, 1, "timed out after 6 s"}) == "timed out after 6 s in step 2, `make`");
}

TEST_CASE("views: an outcome is explained once, by the agent's words where they say it all") {
  Outcome outcome;
  outcome.kind = OutcomeKind::kTimedOut;
  CHECK(Explain(outcome) == "timed out");
  outcome.detail = "timed out after 6 s\nand more";
  CHECK(Explain(outcome) == "timed out after 6 s");
  outcome.kind = OutcomeKind::kStartFailed;
  outcome.detail = "no program /bin/none";
  CHECK(Explain(outcome) == "could not start: no program /bin/none");
  CHECK(Explain({.kind = OutcomeKind::kExited, .code = 3, .step = 1, .detail = ""}) == "exit status 3 in step 2");
  CHECK(Explain({.kind = OutcomeKind::kSignaled, .code = 9, .step = 0, .detail = ""}) == "exit status 137");
  CHECK(Explain({}).empty());
  CHECK(Explain({.detail = "2 lines were left out\nmore"}) == "2 lines were left out");
}

TEST_CASE("views: colours are there when asked for") {
  ViewStyle colour = kStyle;
  colour.colour = true;
  CHECK(RenderRuns({{SomeRun()}}, colour).find("\033[31mfailed\033[0m") != std::string::npos);
  CHECK(RenderRuns({{SomeRun()}}, kStyle).find('\033') == std::string::npos);
}

TEST_CASE("live view: as many lines as there are rows, those that matter first") {
  std::vector<JobView> jobs;
  for (std::uint64_t i = 1; i <= 30; ++i)
    jobs.push_back(Job(i, ("job-" + std::to_string(i)).c_str(), i == 30 ? JobState::kFailed : JobState::kPassed, {}));
  ViewStyle style = kStyle;
  style.width = 40;
  const auto lines = LiveLines(SomeRun(), jobs, "job-30", {"one", "two", "three", "four", "five"}, style, 9);
  CHECK(lines == std::vector<std::string>{"job-30: three", "job-30: four", "job-30: five", "✗ job-30", "✓ job-1 ",
                                          "✓ job-2 ", "✓ job-3 ", "… 26 more jobs",
                                          "fashion#42 failed  2/4 passed, 1 failed…"});
}

TEST_CASE("plot: a falling line falls from corner to corner") {
  ViewStyle style = kStyle;
  style.width = 20;
  const std::string plot = RenderMetricPlot({"f#1/train", "loss", {0, 10}, {1, 0}}, style);
  CHECK(plot.starts_with("f#1/train  loss\n1 │⠱⡀\n  │ ⠑⡄\n"));
  CHECK(plot.find("\n0 │             ⠈⢆\n  └───────────────\n") != std::string::npos);
  CHECK(plot.find("step 10") != std::string::npos);
  CHECK(RenderMetricPlot({"f#1/train", "loss", {1}, {5}}, style).find("5.5 │") != std::string::npos);
}

TEST_CASE("json: documents are objects, also with a single field") {
  CHECK(JsonRuns({}) == "{\n  \"runs\": []\n}\n");
  CHECK(JsonText("text", "a\xff") == "{\n  \"text\": \"a\xEF\xBF\xBD\"\n}\n");
  CHECK(JsonError({Errc::kNotFound, "no"}) ==
        "{\n  \"error\": {\n    \"code\": \"not found\",\n    \"message\": \"no\"\n  }\n}\n");
  CHECK(JsonReasons({{{"f#1/a", "waits", {"f#1/b"}}}}).find("\"holders\": [\n        \"f#1/b\"\n      ]") !=
        std::string::npos);
}

}  // namespace furrow::cli
