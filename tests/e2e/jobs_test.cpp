// What jobs do to their streams and folders and what they leave, with the real programs.
#include <doctest/doctest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/support/farm.h"

namespace furrow {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

json JobOf(Farm& farm, const std::string& run) {
  return json::parse(farm.Furrow({"--json", "show", run}).out)["jobs"][0];
}

std::string Artifacts(Farm& farm, const std::string& run) {
  const json listed = json::parse(farm.Furrow({"--json", "artifacts", run}).out);
  std::string paths;
  for (const auto& file : listed["artifacts"]) paths += file["path"].get<std::string>() + " ";
  return paths;
}

}  // namespace

TEST_CASE("jobs: what one left in its folder does not reach the next, nor keep it from starting") {
  Farm farm;
  const char* const leaves[] = {
      "mkdir -p go/mod/x@v1/sub && echo m > go/mod/x@v1/sub/go.mod && chmod -R a-w go",
      "mkdir -p shut/inside && chmod 000 shut/inside shut",
      "chmod 000 .",
      "p=$PWD; cd ..; rm -rf \"$p\"; echo file > \"$p\"",
      "p=$PWD; cd ..; rm -rf \"$p\"; ln -s /etc \"$p\"",
      "rm -f \"$FURROW_METRICS\"; mkdir -p \"$FURROW_METRICS/x\"",
      "i=0; while [ $i -lt 300 ]; do mkdir deep; cd deep; i=$((i+1)); done; chmod 500 .",
      "mkfifo fifo; ln -s / root; touch \"$(printf 'a\\nb\\377')\"",
  };
  int run = 0;
  for (const char* leave : leaves) {
    INFO(leave);
    farm.Write("work/furrow.yaml", std::string("name: leaves\njobs:\n  job:\n    steps:\n      - run: |\n") +
                                       "          ls -A; " + leave + "\n");
    const CliResult result = farm.Furrow({"run", farm / "work"});
    CHECK_MESSAGE(result.status == 0, result.out << result.err);
    CHECK(farm.Furrow({"logs", "leaves#" + std::to_string(++run)}).out == "furrow.yaml\n");
  }
  CHECK(fs::exists("/etc/passwd"));
}

TEST_CASE("jobs: the log is whole whatever a job does to its streams, and its last lines are whole lines") {
  Farm farm;
  farm.Write("work/furrow.yaml",
             "name: streams\njobs:\n  job:\n    steps:\n      - run: |\n"
             "          echo one; echo two > /dev/stderr; : > /dev/stdout; echo three | tee /dev/stderr\n"
             "          echo unbuffered: $PYTHONUNBUFFERED\n"
             "          head -c 3000000 /dev/zero | tr '\\0' x; echo; echo end\n"
             "      - run: echo last > /dev/stdout\n");
  CHECK(farm.Furrow({"run", farm / "work"}).status == 0);
  const std::string tail = std::string(3'000'000, 'x') + "\nend\nlast\n";
  CHECK(farm.Furrow({"logs", "streams#1"}).out == "one\ntwo\nthree\nthree\nunbuffered: 1\n" + tail);
  CHECK(farm.Furrow({"logs", "--tail", "3", "streams#1"}).out == tail);
  CHECK(farm.Furrow({"logs", "-f", "--tail", "3", "streams#1"}).out == tail);
}

TEST_CASE("jobs: what they made is kept however they end, and what is lacking is said, once") {
  Farm farm;
  const auto run = [&](const std::string& job) {
    farm.Write("work/furrow.yaml", "name: makes\njobs:\n  job:\n    retry: { max: 2, on: [agent_lost] }\n" + job);
    return farm.Furrow({"run", farm / "work"});
  };
  // The steps passed: the job fails once, in words, and what there is is kept.
  CHECK(run("    artifacts: [\"*.pt\", report.html, out]\n    steps:\n"
            "      - run: echo m > model.pt; mkdir out; echo a > out/a; ln -s /etc/passwd out/link\n")
            .status == 1);
  json job = JobOf(farm, "makes#1");
  CHECK(job["attempt"] == 1);
  CHECK(job["outcome"]["kind"] == "artifact_missing");
  const std::string detail = job["outcome"]["detail"];
  for (const char* word : {"`report.html`", "\"out/link\"", "relative"}) CHECK(detail.find(word) != std::string::npos);
  CHECK(Artifacts(farm, "makes#1") == "model.pt out/a ");
  // The steps failed, in three ways.
  CHECK(run("    artifacts: [ckpt, no]\n    steps:\n      - run: mkdir ckpt; echo 1 > ckpt/1; exit 3\n").status == 1);
  job = JobOf(farm, "makes#2");
  CHECK(job["outcome"]["kind"] == "exited");
  CHECK(job["outcome"]["code"] == 3);
  CHECK(job["outcome"]["detail"].get<std::string>().find("`no`") != std::string::npos);
  CHECK(Artifacts(farm, "makes#2") == "ckpt/1 ");
  CHECK(run("    artifacts: [ckpt]\n    timeout: 1s\n    steps:\n      - run: echo 1 > ckpt; sleep 1000\n").status ==
        1);
  CHECK(JobOf(farm, "makes#3")["outcome"]["kind"] == "timed_out");
  CHECK(Artifacts(farm, "makes#3") == "ckpt ");
  farm.Write("work/furrow.yaml",
             "name: makes\njobs:\n  job:\n    artifacts: [ckpt]\n    shards: 2\n    steps:\n"
             "      - run: echo $FURROW_SHARD_INDEX > ckpt; echo ready; sleep 1000\n");
  const auto follow = farm.Start({"run", farm / "work"});
  REQUIRE(follow->AwaitOut("job/0: ready\n"));
  REQUIRE(farm.Furrow({"cancel", "makes#4"}).status == 0);
  follow->Wait();
  CHECK(Artifacts(farm, "makes#4/job/0") == "ckpt ");
}

}  // namespace furrow
