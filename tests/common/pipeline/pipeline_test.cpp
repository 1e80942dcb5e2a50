#include "common/pipeline/pipeline.h"

#include <doctest/doctest.h>

using namespace furrow;
using namespace std::chrono_literals;

namespace {

// One pipeline with most of the words that are built.
constexpr std::string_view kExample = R"yaml(name: fashion
on:
  push: { branches: [main, "release/*"], paths: ["train/**"] }
env: { EPOCHS: "2" }
jobs:
  prepare:
    steps:
      - run: python3 define_net.py --out net.pt       # sh -euo pipefail -c (bash where it is)
    artifacts: [net.pt]
  train:
    needs: [prepare]                                  # starts when these passed; gets their artifacts in its workspace
    resources: { gpus: 1, gpu_memory: 16GiB, cpus: 4, memory: 8GiB }   # gpus may be 0.5, or "a100:2"
    labels: [a100]                                    # the agent must carry them
    timeout: 6h
    retry: { max: 2, on: [agent_lost] }
    steps:
      - train:                                        # furrow-torch, no Python needed
          model: net.pt                               # a TorchScript module
          data: { format: idx, images: train-images-idx3-ubyte.gz, labels: train-labels-idx1-ubyte.gz, dir: /usr/share/datasets/fashion-mnist }
          loss: nll
          optimizer: { sgd: { lr: 0.01, momentum: 0.9 } }
          epochs: 2
          batch: 64
          out: trained.pt
    artifacts: [trained.pt]
  test:
    needs: [train]
    shards: 4
    steps:
      - evaluate: { model: trained.pt, data: { format: csv, file: test.csv }, metrics: [accuracy, loss] }
      - exec: [python3, -m, pytest, tests]            # argv, no shell
  gate:
    needs: [test]
    steps:
      - check: { accuracy: ">= 0.80", loss: "<= 1.02" }
)yaml";

Pipeline Parse(std::string_view text, const Env& overrides = {}) {
  const ParsedPipeline parsed = ParsePipeline(text, "folder", overrides);
  INFO(FormatDiagnostics("furrow.yaml", parsed.diagnostics));
  REQUIRE(parsed.ok());
  return parsed.pipeline;
}

// The only job of a file with these lines in it.
JobSpec ParseJob(const std::string& lines) {
  const Pipeline pipeline = Parse("jobs:\n  a:\n    steps: [{ run: x }]\n" + lines);
  REQUIRE(pipeline.jobs.size() == 1);
  return pipeline.jobs[0];
}

}  // namespace

TEST_CASE("pipeline: the example of the design parses to what it says") {
  const Pipeline pipeline = Parse(kExample);
  CHECK(pipeline.name == "fashion");
  REQUIRE(pipeline.on_push);
  CHECK(pipeline.on_push->branches == std::vector<std::string>{"main", "release/*"});
  CHECK(pipeline.on_push->paths == std::vector<std::string>{"train/**"});
  REQUIRE(pipeline.jobs.size() == 4);

  const JobSpec& prepare = pipeline.jobs[0];
  CHECK(prepare.name == "prepare");
  CHECK(prepare.artifacts == std::vector<std::string>{"net.pt"});
  REQUIRE(prepare.steps.size() == 1);
  CHECK(prepare.steps[0].name == "python3 define_net.py --out net.pt");
  CHECK(std::get<RunStep>(prepare.steps[0].action).script == "python3 define_net.py --out net.pt");

  const JobSpec& train = pipeline.jobs[1];
  CHECK(train.needs == std::vector<std::string>{"prepare"});
  CHECK(train.resources == Resources{4000, 1000, "", 16ULL << 30, 8ULL << 30});
  CHECK(train.labels == std::vector<std::string>{"a100"});
  CHECK(train.timeout == 6h);
  CHECK(train.retry == RetryRule{2, true, false, {}});
  CHECK(train.env == Env{{"EPOCHS", "2"}});
  CHECK(train.steps[0].name == "train net.pt");
  CHECK(
      std::get<TorchStep>(train.steps[0].action) ==
      TorchStep{"train",
                R"({"batch":64,"data":{"dir":"/usr/share/datasets/fashion-mnist","format":"idx",)"
                R"("images":"train-images-idx3-ubyte.gz","labels":"train-labels-idx1-ubyte.gz"},"epochs":2,)"
                R"("loss":"nll","model":"net.pt","optimizer":{"sgd":{"lr":0.01,"momentum":0.9}},"out":"trained.pt"})"});

  const JobSpec& test = pipeline.jobs[2];
  CHECK(test.shards == 4);
  REQUIRE(test.steps.size() == 2);
  CHECK(std::get<ExecStep>(test.steps[1].action).argv == std::vector<std::string>{"python3", "-m", "pytest", "tests"});
  CHECK(test.steps[1].name == "python3 -m pytest tests");

  const JobSpec& gate = pipeline.jobs[3];
  CHECK(std::get<CheckStep>(gate.steps[0].action).rules ==
        std::vector<MetricRule>{{"accuracy", Comparison::kGreaterEqual, 0.80}, {"loss", Comparison::kLessEqual, 1.02}});
  CHECK(gate.steps[0].name == "check accuracy >= 0.8, loss <= 1.02");
}

TEST_CASE("pipeline: what a job leaves out has its default") {
  const JobSpec job = ParseJob("");
  CHECK(job.resources == Resources{});
  CHECK(job.retry == RetryRule{});
  CHECK(job.retry.on_agent_lost);
  CHECK(job.timeout == 0ms);
  CHECK(job.shards == 1);
  CHECK_FALSE(job.allow_failure);
  CHECK_FALSE(Parse("jobs: { a: { steps: [{ run: x }] } }").on_push);
}

TEST_CASE("pipeline: gpus are a count, a share, or a model and a count") {
  CHECK(ParseJob("    resources: { gpus: 2 }\n").resources.gpu_milli == 2000);
  CHECK(ParseJob("    resources: { gpus: 0.5, cpus: 0.25 }\n").resources == Resources{250, 500, "", 0, 0});
  CHECK(ParseJob("    resources: { gpus: 0 }\n").resources.gpu_milli == 0);
  CHECK(ParseJob("    resources: { gpus: \"a100:2\" }\n").resources == Resources{1000, 2000, "a100", 0, 0});
  CHECK(ParseJob("    resources: { gpus: rtx 4090:0.5 }\n").resources == Resources{1000, 500, "rtx 4090", 0, 0});
}

TEST_CASE("pipeline: durations and sizes have units") {
  CHECK(ParseJob("    timeout: 90s\n").timeout == 90s);
  CHECK(ParseJob("    timeout: 250ms\n").timeout == 250ms);
  CHECK(ParseJob("    timeout: 1.5h\n").timeout == 90min);
  CHECK(ParseJob("    timeout: 3d\n").timeout == 72h);
  CHECK(ParseJob("    resources: { memory: 512KiB }\n").resources.memory_bytes == 512 << 10);
  CHECK(ParseJob("    resources: { memory: 1.5 GiB }\n").resources.memory_bytes == 3ULL << 29);
}

TEST_CASE("pipeline: retry.on is all there is, and may be exit codes") {
  CHECK(ParseJob("    retry: { max: 5, on: [failure, 75, 137] }\n").retry == RetryRule{5, false, true, {75, 137}});
  CHECK(ParseJob("    retry: { max: 0 }\n").retry == RetryRule{0, true, false, {}});
}

TEST_CASE("pipeline: a job's env lies over the file's, and --set over both") {
  constexpr std::string_view kText = R"(
env: { A: 1, B: "two", C: true }
jobs:
  a: { env: { B: over }, steps: [{ run: x }] }
  b: { steps: [{ run: x }] }
)";
  CHECK(Parse(kText).jobs[0].env == Env{{"A", "1"}, {"B", "over"}, {"C", "true"}});
  const Pipeline set = Parse(kText, {{"B", "set"}, {"D", ""}});
  CHECK(set.jobs[0].env == Env{{"A", "1"}, {"B", "set"}, {"C", "true"}, {"D", ""}});
  CHECK(set.jobs[1].env == set.jobs[0].env);
}

TEST_CASE("pipeline: a bad --set is refused without a line") {
  const auto first = [](const Env& overrides) {
    return FormatDiagnostics("f", ParsePipeline("jobs: { a: { steps: [{ run: x }] } }", "n", overrides).diagnostics);
  };
  CHECK(first({{"1A", "x"}}).starts_with("f: --set `1A=` is no name of a variable"));
  CHECK(first({{"FURROW_JOB", "x"}}) == "f: --set `FURROW_JOB=` is set by Furrow itself; choose another name\n");
  CHECK(first({{"PATH", "/x:$PATH"}}) ==
        "f: --set `PATH=` is passed on as it is written, and `$PATH` in it is not replaced; set it in a step instead: "
        "`run: export PATH=\"/x:$PATH\"; …`\n");
  CHECK(first({{"A", "${HOME}/data"}}).starts_with("f: --set `A=` is passed on as it is written, and `$HOME` in it"));
  CHECK(first({{"A", std::string(140'000, 'x')}}).starts_with("f: --set `A=` is too long for a variable"));
  for (const char* fine : {"pa$$word", "$x", "\\$PATH", "10$", "${{ x }}"}) CHECK(first({{"A", fine}}).empty());
}

TEST_CASE("pipeline: the caller's name stands in for the file's, made fit") {
  const auto name = [](std::string_view text) {
    return ParsePipeline("jobs: { a: { steps: [{ run: x }] } }", text).pipeline.name;
  };
  CHECK(name("repo.git") == "repo.git");
  CHECK(name("my repo") == "my-repo");
  CHECK(name("..") == "pipeline");
  CHECK(name("") == "pipeline");
  CHECK(name(std::string(100, 'a')).size() == 64);
  CHECK(ParsePipeline("name: n.1\njobs: { a: { steps: [{ run: x }] } }", "other").pipeline.name == "n.1");
}

TEST_CASE("pipeline: artifact paths lose dots and doubled slashes") {
  CHECK(ParseJob("    artifacts: [./a//b/, \"out/**\", a/./c]\n").artifacts ==
        std::vector<std::string>{"a/b", "out/**", "a/c"});
}

TEST_CASE("pipeline: scripts keep their lines, and the step's name is the first that says something") {
  const Pipeline pipeline = Parse(
      "jobs:\n  a:\n    steps:\n      - run: |\n\n          first\n          \tsecond\n      - name: tidy up\n        "
      "run: rm x\n");
  const auto& steps = pipeline.jobs[0].steps;
  CHECK(std::get<RunStep>(steps[0].action).script == "\nfirst\n\tsecond\n");
  CHECK(steps[0].name == "first");
  CHECK(steps[1].name == "tidy up");
  CHECK(Parse("jobs: { a: { steps: [{ run: \"" + std::string(100, 'x') + "\" }] } }").jobs[0].steps[0].name ==
        std::string(60, 'x') + "…");
}

TEST_CASE("pipeline: anchors and aliases share what they name") {
  const Pipeline pipeline = Parse(R"(
jobs:
  a: &job
    resources: { cpus: 2 }
    steps: [{ run: x }]
  b: *job
)");
  CHECK(pipeline.jobs[1].name == "b");
  CHECK(pipeline.jobs[1].resources.cpu_milli == 2000);
  CHECK(pipeline.jobs[1].steps == pipeline.jobs[0].steps);
}

TEST_CASE("pipeline: Windows line ends, a byte order mark and a missing last newline change nothing") {
  const Pipeline plain = Parse("name: n\njobs:\n  a:\n    steps:\n      - run: x\n");
  CHECK(Parse("\xEF\xBB\xBFname: n\r\njobs:\r\n  a:\r\n    steps:\r\n      - run: x") == plain);
}

TEST_CASE("pipeline: a push starts what its branch and paths ask for") {
  const Pipeline pipeline = Parse(kExample);
  const auto starts = [](const Pipeline& of, const std::string& branch, const std::vector<std::string>& paths) {
    return furrow::WhyPushStartsNothing(of, branch, paths).empty();
  };
  CHECK(starts(pipeline, "main", {"README.md", "train/net/a.py"}));
  CHECK(starts(pipeline, "release/1.0", {"train/a.py"}));
  CHECK_FALSE(starts(pipeline, "feature", {"train/a.py"}));
  CHECK_FALSE(starts(pipeline, "main", {"README.md"}));
  CHECK_FALSE(starts(pipeline, "main", {}));
  CHECK(starts(Parse("on: { push: {} }\njobs: { a: { steps: [{ run: x }] } }"), "any/branch", {}));
  CHECK_FALSE(starts(Parse("jobs: { a: { steps: [{ run: x }] } }"), "main", {"a"}));
}
