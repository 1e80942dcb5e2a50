// A run from the command line to its end, and what the other commands say of it.
#include <doctest/doctest.h>

#include <algorithm>
#include <csignal>
#include <nlohmann/json.hpp>

#include "common/base/run_program.h"
#include "tests/support/farm.h"

namespace furrow {
namespace {

constexpr const char* kThreeJobs = R"(
name: three
jobs:
  prepare:
    steps:
      - run: |
          echo "hello $WHO"
          mkdir -p out/deep && echo model > out/net.pt && echo small > out/deep/a.txt
    env: { WHO: nobody }
    artifacts: [out]
  train:
    needs: [prepare]
    steps:
      - run: |
          cat out/net.pt source.txt
          for i in 1 2 3; do echo "{\"step\": $i, \"loss\": 0.$((5-i))}" >> "$FURROW_METRICS"; done
  test:
    needs: [train]
    shards: 2
    steps:
      - exec: [sh, -c, "echo shard $FURROW_SHARD_INDEX of $FURROW_SHARD_COUNT"]
)";

std::size_t Count(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

}  // namespace

TEST_CASE("run: a pipeline of three jobs passes, and every command can tell of it") {
  Farm farm;
  farm.Write("work/furrow.yaml", kThreeJobs);
  farm.Write("work/source.txt", "from the working copy\n");

  const CliResult run = farm.Furrow({"run", farm / "work", "--set", "WHO=world"});
  INFO(run.err);
  REQUIRE(run.status == 0);
  CHECK(Count(run.out, "prepare: hello world\n") == 1);
  CHECK(Count(run.out, "train: model\n") == 1);
  CHECK(Count(run.out, "train: from the working copy\n") == 1);
  CHECK(Count(run.out, "test/0: shard 0 of 2\n") == 1);
  CHECK(Count(run.out, "test/1: shard 1 of 2\n") == 1);
  CHECK(run.err.find("three#1 passed") != std::string::npos);

  CHECK(farm.Furrow({"logs", "three#1/train"}).out == "model\nfrom the working copy\n");
  CHECK(farm.Furrow({"logs", "three#1/test/1"}).out == "shard 1 of 2\n");
  CHECK(farm.Furrow({"logs", "three", "--tail", "1"}).out.find("train: from the working copy\n") != std::string::npos);
  CHECK(farm.Furrow({"logs", "-f", "three/prepare"}).out == "hello world\n");

  const auto shown = nlohmann::json::parse(farm.Furrow({"--json", "show", "three"}).out);
  CHECK(shown["run"]["state"] == "passed");
  CHECK(shown["jobs"].size() == 4);
  for (const auto& job : shown["jobs"]) CHECK(job["attempt"] == 1);

  const auto artifacts = nlohmann::json::parse(farm.Furrow({"--json", "artifacts", "three"}).out)["artifacts"];
  REQUIRE(artifacts.size() == 2);
  CHECK(artifacts[0]["path"] == "out/deep/a.txt");
  CHECK(artifacts[1]["size"] == 6);
  const CliResult got = farm.Furrow({"artifacts", "three", "--get", "out", "-o", farm / "fetched"});
  CHECK(got.status == 0);
  CHECK(farm.Read("fetched/out/net.pt") == "model\n");
  CHECK(farm.Read("fetched/out/deep/a.txt") == "small\n");
  CHECK(farm.Furrow({"artifacts", "three", "--get", "none.pt"}).status == 4);

  const auto series = nlohmann::json::parse(farm.Furrow({"--json", "metrics", "three/train"}).out)["series"];
  REQUIRE(series.size() == 1);
  CHECK(series[0]["name"] == "loss");
  CHECK(series[0]["steps"] == nlohmann::json::array({1, 2, 3}));
  CHECK(series[0]["values"] == nlohmann::json::array({0.4, 0.3, 0.2}));

  const auto runs = nlohmann::json::parse(farm.Furrow({"--json", "runs"}).out)["runs"];
  REQUIRE(runs.size() == 1);
  CHECK(runs[0]["name"] == "three#1");
  CHECK(runs[0]["jobs"]["passed"] == 4);
}

TEST_CASE("run: a job that fails ends the run with status 1 and says why") {
  Farm farm;
  farm.Write(
      "work/furrow.yaml",
      "name: bad\njobs:\n  good:\n    steps: [{run: echo fine}]\n  bad:\n    needs: [good]\n    steps: [{run: \"echo "
      "oops; exit 7\"}]\n  after:\n    needs: [bad]\n    steps: [{run: echo never}]\n");
  const CliResult run = farm.Furrow({"run", farm / "work"});
  CHECK(run.status == 1);
  CHECK(run.out.find("bad: oops\n") != std::string::npos);
  CHECK(run.out.find("never") == std::string::npos);
  CHECK(run.err.find("exit status 7") != std::string::npos);
  const auto jobs = nlohmann::json::parse(farm.Furrow({"--json", "show", "bad#1"}).out)["jobs"];
  CHECK(jobs[1]["outcome"]["code"] == 7);
  CHECK(jobs[2]["state"] == "skipped");

  // What passed is kept by a retry of the failed jobs.
  const CliResult retried = farm.Furrow({"retry", "bad#1", "--failed"});
  CHECK(retried.status == 1);
  CHECK(retried.out.find("fine") == std::string::npos);
  CHECK(retried.out.find("bad: oops\n") != std::string::npos);
}

TEST_CASE("logs: a job that was tried again has a log of each attempt") {
  Farm farm;
  farm.Write("work/furrow.yaml",
             "name: r\njobs:\n  flaky:\n    retry: { max: 1, on: [failure] }\n    steps:\n"
             "      - run: echo try $FURROW_ATTEMPT; test $FURROW_ATTEMPT = 2\n");
  REQUIRE(farm.Furrow({"run", farm / "work"}).status == 0);
  CHECK(farm.Furrow({"logs", "r#1/flaky"}).out == "try 2\n");
  CHECK(farm.Furrow({"logs", "r#1", "--attempt", "1"}).out == "try 1\n");
  CHECK(farm.Furrow({"logs", "r#1", "--attempt", "2"}).out == "try 2\n");
  const CliResult third = farm.Furrow({"logs", "r#1/flaky", "--attempt", "3"});
  CHECK(third.status == 2);
  CHECK(third.err.find("r#1/flaky has no attempt 3: the newest there is 2") != std::string::npos);
}

TEST_CASE("metrics: of a long series every extreme is shown; what is not finite counts, and passes no check") {
  Farm farm;
  farm.Write("work/furrow.yaml", R"(
name: m
jobs:
  spike:
    steps:
      - run: |
          seq 1 25000 | sed 's/.*/{"step": &, "loss": 0.5}/; 16001s/0.5/99/' > "$FURROW_METRICS"
  diverged:
    steps:
      - run: |
          echo '{"step": 1, "loss": 0.5}' > "$FURROW_METRICS"
          echo '{"step": 2, "loss": NaN}' >> "$FURROW_METRICS"
  gate:
    needs: [diverged]
    steps:
      - check: { loss: "<= 1" }
)");
  CHECK(farm.Furrow({"run", farm / "work"}).status == 1);
  const auto spike = nlohmann::json::parse(farm.Furrow({"--json", "metrics", "m#1/spike"}).out)["series"][0];
  CHECK(spike["reported"] == 25000);
  const std::vector<double> values = spike["values"];
  CHECK(values.size() <= 10000);
  CHECK(std::count(values.begin(), values.end(), 99) == 1);
  const std::vector<std::int64_t> steps = spike["steps"];
  CHECK(steps.back() == 25000);
  CHECK(std::is_sorted(steps.begin(), steps.end()));
  CHECK(nlohmann::json::parse(farm.Furrow({"--json", "metrics", "m#1/diverged"}).out)["series"][0]["values"][1]
            .is_null());
  CHECK(farm.Furrow({"logs", "m#1/gate"}).out.find("check: loss <= 1: FAILED (loss = nan)") != std::string::npos);
}

TEST_CASE("metrics: a check behind shards with thousands of metrics of their own is given those that it names") {
  Farm farm;
  farm.Write("work/furrow.yaml", R"(
name: m
jobs:
  shards:
    shards: 4
    steps:
      - run: |
          { printf '{"loss": 0.5'; seq 1 4000 | sed "s/.*/, \"own-$FURROW_SHARD_INDEX-&\": &/" | tr -d '\n'; echo '}'; } > "$FURROW_METRICS"
  gate: { needs: [shards], steps: [{ check: { loss: "< 1" } }] }
  other: { needs: [shards], steps: [{ check: { missing: "< 1" } }] }
)");
  CHECK(farm.Furrow({"run", farm / "work"}).status == 1);
  CHECK(farm.Furrow({"logs", "m#1/gate"}).out == "check: loss < 1: ok (loss = 0.5)\n");
  const std::string other = farm.Furrow({"logs", "m#1/other"}).out;
  CHECK(other.find("no needed job reported `missing` (reported: loss, own-0-1, own-0-10, ") != std::string::npos);
  CHECK(other.find(" more)") != std::string::npos);
  CHECK(nlohmann::json::parse(farm.Furrow({"--json", "show", "m#1/shards/2"}).out)["jobs"][0]["metrics"].size() ==
        4001);
  CHECK(farm.Furrow({"metrics", "m#1"}).err.find("16004 metrics of m#1 are more than one answer holds") !=
        std::string::npos);
}

TEST_CASE("run: what a job could not keep of its metrics is said, and what it could is kept") {
  Farm farm;
  farm.Write("work/furrow.yaml", R"(
name: m
jobs:
  a:
    steps:
      - run: |
          printf '{"loss": 0.5}\nnonsense\n{"a\\u0000b": 1, "ok": 2}\n' > "$FURROW_METRICS"
          printf 'caf\351 \000 bytes\n'
)");
  CHECK(farm.Furrow({"run", farm / "work"}).status == 0);
  CHECK(farm.Furrow({"logs", "m#1/a"}).out == std::string("caf\351 \0 bytes\n", 13));
  const auto job = nlohmann::json::parse(farm.Furrow({"--json", "show", "m#1"}).out)["jobs"][0];
  CHECK(job["metrics"] == nlohmann::json{{"loss", 0.5}, {"ok", 2.0}});
  const std::string shown = farm.Furrow({"show", "m#1"}).out;
  CHECK(shown.find("2 lines of FURROW_METRICS could not be kept, or not whole: line 2 is no JSON object") !=
        std::string::npos);
}

TEST_CASE("run: texts that are not UTF-8 are repaired, or refused where they come in") {
  Farm farm;
  const std::string folder = farm / "caf\351", bare = farm / "bare.git";
  farm.Write("caf\351/furrow.yaml",
             "name: m\non: { push: { branches: [\"*\"] } }\njobs: { a: { steps: [{ run: \"ls\" }] } }\n");
  farm.Write("caf\351/f\377", "x");
  const auto git = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"git", "-C", folder, "-c", "user.name=J\351r\364me", "-c", "user.email=a@b",
                                         "-c", "i18n.commitEncoding=ISO-8859-1"});
    const auto done = RunProgram(arguments);
    REQUIRE_MESSAGE(done->status == 0, done->err);
    return done->err;
  };
  git({"init", "-q", "-b", "caf\351"});
  git({"add", "."});
  git({"commit", "-q", "-m", "caf\351 au lait"});
  CHECK(farm.Furrow({"run", folder}).status == 0);
  const auto source = nlohmann::json::parse(farm.Furrow({"--json", "runs"}).out)["runs"][0]["source"];
  CHECK(source["branch"] == "caf\xEF\xBF\xBD");
  CHECK(source["title"] == "caf\xC3\xA9 au lait");
  const CliResult set = farm.Furrow({"run", folder, "--set", "A=\377"});
  CHECK(set.status == 2);
  CHECK(set.err.find("--set `A=` has a value that is not UTF-8") != std::string::npos);
  for (const auto& arguments : std::vector<std::vector<std::string>>{
           {"show", "\377"}, {"runs", "\377"}, {"drain", "\377"}, {"metrics", "m", "\377"}, {"logs", "m#1\377"}}) {
    CAPTURE(arguments[0]);
    const CliResult refused = farm.Furrow(arguments);
    CHECK(refused.status == 2);
    CHECK_FALSE(refused.err.empty());
  }
  git({"init", "-q", "--bare", bare});
  farm.StopController();
  const CliResult half = farm.Furrow({"hook", "install", bare});  // nobody watches the repository yet
  CHECK(half.status == 3);
  CHECK(half.err.find("install it again then") != std::string::npos);
  farm.StartController();
  CHECK(farm.Furrow({"hook", "install", bare}).status == 0);
  CHECK(git({"push", "-q", bare, "HEAD:refs/heads/caf\351"}).find("is not UTF-8: a push of it starts nothing") !=
        std::string::npos);
  CHECK(git({"push", "-q", bare, "HEAD:refs/heads/main"}).find("m-2#1 started") != std::string::npos);
  CHECK(farm.Furrow({"hook", "install", folder}).err.find("is not UTF-8: pushes to it cannot be told") !=
        std::string::npos);
}

TEST_CASE("run: mistakes of the pipeline file are told all at once, before anything is submitted") {
  Farm farm;
  farm.Write("work/furrow.yaml",
             "name: x\njobs:\n  a:\n    stps: []\n  b:\n    needs: [c]\n    steps: [{run: 'true'}]\n");
  const CliResult run = farm.Furrow({"run", farm / "work"});
  CHECK(run.status == 2);
  CHECK(run.err.find("furrow.yaml:4:5: ") != std::string::npos);
  CHECK(run.err.find("furrow.yaml:6:13: ") != std::string::npos);
  CHECK(farm.Furrow({"check", farm / "work/furrow.yaml"}).status == 2);
  CHECK(farm.Furrow({"check", farm / "work"}).err == farm.Furrow({"check", farm / "work/furrow.yaml"}).err);
  CHECK(nlohmann::json::parse(farm.Furrow({"--json", "runs"}).out)["runs"].empty());
}

TEST_CASE("cancel: a run that is followed ends with status 130") {
  Farm farm;
  farm.Write("work/furrow.yaml", "name: long\njobs:\n  a:\n    steps: [{run: \"echo begun; sleep 600\"}]\n");
  SUBCASE("by the command") {
    const auto run = farm.Start({"run", farm / "work"});
    REQUIRE(run->AwaitOut("a: begun\n"));
    CHECK(farm.Furrow({"cancel", "long#1"}).status == 0);
    CHECK(run->Wait().status == 130);
  }
  SUBCASE("by Ctrl-C where nobody can be asked") {
    const auto run = farm.Start({"run", farm / "work"});
    REQUIRE(run->AwaitOut("a: begun\n"));
    run->Signal(SIGINT);
    CHECK(run->Wait().status == 130);
  }
  CHECK(nlohmann::json::parse(farm.Furrow({"--json", "show", "long#1"}).out)["run"]["state"] == "cancelled");
  CHECK(farm.Furrow({"cancel", "long#1"}).status == 4);
}

TEST_CASE("run: SIGTERM leaves the run as it is") {
  Farm farm;
  farm.Write("work/furrow.yaml", "name: long\njobs:\n  a:\n    steps: [{run: \"echo begun; sleep 600\"}]\n");
  const auto run = farm.Start({"run", farm / "work"});
  REQUIRE(run->AwaitOut("a: begun\n"));
  run->Signal(SIGTERM);
  CHECK(run->Wait().status == 143);
  CHECK(nlohmann::json::parse(farm.Furrow({"--json", "show", "long#1"}).out)["run"]["state"] == "running");
}

TEST_CASE("cli: what is not there is refused, and usage is usage") {
  Farm farm;
  CHECK(farm.Furrow({"shwo"}).err ==
        "furrow: there is no command shwo; is show meant? `furrow --help` lists them all\n");
  CHECK(farm.Furrow({"metrics", "nothing#1", "loss"}).status == 4);
  const CliResult show = farm.Furrow({"show", "nothing#1"});
  CHECK(show.status == 4);
  CHECK(show.err.find("nothing#1") != std::string::npos);
  CHECK(farm.Furrow({"logs", "-f", "nothing"}).status == 4);
  CHECK(farm.Furrow({"show", "not a name"}).status == 2);
  CHECK(farm.Furrow({"sow"}).status == 2);
  CHECK(farm.Furrow({"run", farm / "nowhere"}).status == 2);
  const CliResult backup = farm.Furrow({"backup", "here"});
  CHECK(backup.status == 4);
  CHECK(backup.err.find("not yet") != std::string::npos);
  const CliResult drain = farm.Furrow({"drain", "nobody"});
  CHECK(drain.status == 4);
  CHECK(drain.err.find("no agent is named nobody") != std::string::npos);
  CHECK(nlohmann::json::parse(farm.Furrow({"--json", "show", "nothing#1"}).out)["error"]["code"] == "not found");
}

TEST_CASE("drain: a drained agent gets no job until it is resumed, and who follows the run is told") {
  Farm farm;
  CHECK(farm.Furrow({"drain", "agent-1"}).out == "agent-1 gets no new jobs; it has none\n");
  CHECK(nlohmann::json::parse(farm.Furrow({"--json", "agents"}).out)["agents"][0]["drained"] == true);
  farm.Write("work/furrow.yaml", "name: d\njobs:\n  a:\n    steps: [{run: echo begun}]\n");
  const auto run = farm.Start({"run", farm / "work"});
  CHECK(Farm::Until([&] { return run->err().find("furrow: a waits: ") != std::string::npos; }));
  CHECK(run->err().find("is drained or away") != std::string::npos);
  CHECK(farm.Furrow({"why", "d#1"}).out.find("is drained or away") != std::string::npos);
  CHECK(farm.Furrow({"resume", "agent-1"}).status == 0);
  const CliResult ended = run->Wait();
  CHECK(ended.status == 0);
  CHECK(Count(ended.err, "waits: ") == 1);
}

TEST_CASE(
    "drain: --until ends by itself, --wait returns when the last job has ended, and neither forgets over a restart") {
  Farm farm;
  CHECK(farm.Furrow({"drain", "agent-1", "--until", "soon"}).status == 2);
  CHECK(farm.Furrow({"drain", "agent-1", "--until", "1s", "--wait"}).out.find("agent-1 has no jobs left") !=
        std::string::npos);
  CHECK(Farm::Until([&] {
    return !nlohmann::json::parse(farm.Furrow({"--json", "agents"}).out)["agents"][0]["drained"];
  }));

  farm.Write("work/furrow.yaml",
             "name: d\njobs:\n  a:\n    steps: [{run: 'while [ ! -e " + farm / "go" + " ]; do sleep 0.05; done'}]\n");
  CHECK(farm.Furrow({"run", farm / "work", "--detach"}).status == 0);
  CHECK(Farm::Until([&] { return farm.Furrow({"agents"}).out.find("d#1/a") != std::string::npos; }));
  const auto drain = farm.Start({"drain", "agent-1", "--until", "2h", "--wait"});
  CHECK(Farm::Until([&] { return drain->err().find("furrow: waiting for d#1/a\n") != std::string::npos; }));
  const std::string agents = farm.Furrow({"agents"}).out;
  CHECK(agents.find("connected, drained") != std::string::npos);
  CHECK(agents.find("agent-1: drained by ") != std::string::npos);
  const auto before = nlohmann::json::parse(farm.Furrow({"--json", "agents"}).out)["agents"][0]["drain"];
  CHECK(before["until_ms"].get<std::int64_t>() - before["since_ms"].get<std::int64_t>() == 7'200'000);

  farm.KillController();
  farm.StartController();
  CHECK(nlohmann::json::parse(farm.Furrow({"--json", "agents"}).out)["agents"][0]["drain"] == before);
  farm.Write("go", "");
  const CliResult ended = drain->Wait();
  CHECK(ended.status == 0);
  CHECK(ended.out.find("agent-1 has no jobs left") != std::string::npos);
}

TEST_CASE("run: --detach answers with the run's name, logs -f follows it") {
  Farm farm;
  farm.Write("work/furrow.yaml",
             "name: d\njobs:\n  a:\n    steps: [{run: \"seq 1 20000\"}]\n  b:\n    needs: [a]\n    steps: [{run: echo "
             "end}]\n");
  const CliResult run = farm.Furrow({"run", farm / "work", "--detach"});
  CHECK(run.status == 0);
  CHECK(run.out == "d#1\n");
  const CliResult logs = farm.Furrow({"logs", "-f", "d#1"});
  CHECK(logs.status == 0);
  CHECK(Count(logs.out, "\n") == 20001);
  CHECK(logs.out.starts_with("a: 1\na: 2\n"));
  CHECK(logs.out.ends_with("a: 20000\nb: end\n"));
}

TEST_CASE("logs -f of a run that has ended: a job's log comes after those of the jobs it needs") {
  Farm farm;
  // a's log is larger than what one stream may have under way, b has none.
  farm.Write("work/furrow.yaml",
             "name: d\njobs:\n  a:\n    steps: [{run: \"seq 1 500000\"}]\n  b:\n    needs: [a]\n    steps: [{run: "
             "\"true\"}]\n  c:\n    needs: [b]\n    steps: [{run: echo end}]\n");
  REQUIRE(farm.Furrow({"run", farm / "work"}).status == 0);
  const CliResult logs = farm.Furrow({"logs", "-f", "d#1"});
  CHECK(logs.status == 0);
  CHECK(Count(logs.out, "\n") == 500001);
  CHECK(logs.out.starts_with("a: 1\na: 2\n"));
  CHECK(logs.out.ends_with("a: 500000\nc: end\n"));
}

}  // namespace furrow
