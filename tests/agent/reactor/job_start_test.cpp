#include <algorithm>
#include <map>

#include "tests/support/agent_farm.h"

using namespace furrow;
using namespace furrow::testing;

namespace {

std::string Value(const runner::Start& start, const std::string& key) {
  std::string value = "(not set)";
  for (const std::string& setting : start.env)
    if (setting.starts_with(key + "=")) value = setting.substr(key.size() + 1);
  return value;
}

constexpr std::uint32_t kSlot = 5;

runner::Start StartOf(const AgentFarm& farm, const Assign& assign) {
  HeldJob job;
  job.assign = std::make_shared<const Assign>(assign);
  job.slot = kSlot;
  return MakeStart(farm.state, job);
}

Assign WithSteps(std::vector<Step> steps) {
  return With(MakeAssign(Attempt(7, 3)), [&](JobSpec& spec) { spec.steps = std::move(steps); });
}

}  // namespace

TEST_CASE("job start: files of an attempt lie below the state folder, in its slot") {
  AgentFarm farm;
  const runner::Start start = StartOf(farm, MakeAssign(Attempt(7, 3)));
  CHECK(start.ref == Attempt(7, 3));
  CHECK(start.workspace == "/state/work/5");
  CHECK(start.spool == "/state/spool/5.log");
  CHECK(start.metrics == "/state/spool/5.metrics");
}

TEST_CASE("job start: every kind of step becomes a program") {
  AgentFarm farm;
  Assign assign =
      WithSteps({{"build", RunStep{"make | tee log"}},
                 {"list", ExecStep{{"ls", "-l", "a b"}}},
                 {"train", TorchStep{"train", R"({"epochs":2})"}},
                 {"gate", CheckStep{{{"accuracy", Comparison::kGreaterEqual, 0.75}, {"loss", Comparison::kLess, 2}}}}});
  assign.metrics = {{"accuracy", 0.1}, {"loss", 1}};
  const runner::Start start = StartOf(farm, assign);
  REQUIRE(start.steps.size() == 4);
  using Argv = std::vector<std::string>;
  CHECK(start.steps[0].argv == Argv{"/bin/bash", "-euo", "pipefail", "-c", "make | tee log"});
  CHECK(start.steps[0].name == "build");
  CHECK(start.steps[1].argv == Argv{"ls", "-l", "a b"});
  CHECK(start.steps[2].argv == Argv{"/usr/lib/furrow-torch", "train", "--spec-json", R"({"epochs":2})"});
  CHECK(start.steps[3].argv == Argv{"/usr/bin/furrow-agent", "check-metrics", "--have=accuracy=0.10000000000000001",
                                    "--have=loss=1", "--rule=accuracy >= 0.75", "--rule=loss < 2"});
}

TEST_CASE("job start: where there is no bash, sh is not asked for what it lacks") {
  AgentFarm farm;
  farm.state.settings.shell = "/bin/sh";
  farm.state.settings.shell_is_bash = false;
  const runner::Start start = StartOf(farm, WithSteps({{"build", RunStep{"make"}}}));
  CHECK(start.steps[0].argv == std::vector<std::string>{"/bin/sh", "-eu", "-c", "make"});
}

TEST_CASE("job start: the environment is the agent's, the job's on top, and the farm's words above both") {
  AgentFarm farm;
  farm.state.settings.env = {"PATH=/bin", "LANG=C", "SECRET=a=b", "broken"};
  Assign assign = With(MakeAssign(Attempt(7, 3)), [](JobSpec& spec) {
    spec.env = {{"LANG", "de"}, {"EPOCHS", "2"}, {"FURROW_RUN", "forged"}};
    spec.shards = 4;
  });
  assign.shard = 2;
  assign.commit = "abc";
  assign.branch = "main";
  const runner::Start start = StartOf(farm, assign);
  CHECK(Value(start, "PATH") == "/bin");
  CHECK(Value(start, "SECRET") == "a=b");
  CHECK(Value(start, "LANG") == "de");
  CHECK(Value(start, "EPOCHS") == "2");
  CHECK(Value(start, "PYTHONUNBUFFERED") == "1");
  CHECK(Value(start, "CI") == "true");
  CHECK(Value(start, "FURROW") == "1");
  CHECK(Value(start, "FURROW_RUN") == "fashion#1");
  CHECK(Value(start, "FURROW_JOB") == "test");
  CHECK(Value(start, "FURROW_ATTEMPT") == "3");
  CHECK(Value(start, "FURROW_COMMIT") == "abc");
  CHECK(Value(start, "FURROW_BRANCH") == "main");
  CHECK(Value(start, "FURROW_SHARD_INDEX") == "2");
  CHECK(Value(start, "FURROW_SHARD_COUNT") == "4");
  CHECK(Value(start, "FURROW_WORKSPACE") == "/state/work/5");
  std::vector<std::string> keys;
  for (const std::string& setting : start.env) keys.push_back(setting.substr(0, setting.find('=')));
  std::sort(keys.begin(), keys.end());
  CHECK(std::adjacent_find(keys.begin(), keys.end()) == keys.end());
  CHECK(std::find(keys.begin(), keys.end(), "broken") == keys.end());
}

TEST_CASE("job start: a job without GPUs sees none, whatever agent, pipeline and machine say") {
  AgentFarm farm;
  for (const bool offers : {false, true}) {  // A machine that offers none may have some.
    if (offers) farm.state.offer.gpus = {{"GPU-1", "H100", 1}};
    for (const char* name :
         {"CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES"}) {
      farm.state.settings.env = {std::string(name) + "=0"};
      const Assign assign = With(MakeAssign(Attempt(1)), [&](JobSpec& spec) { spec.env = {{name, "all"}}; });
      const runner::Start start = StartOf(farm, assign);
      CHECK(Value(start, "CUDA_VISIBLE_DEVICES").empty());
      CHECK(Value(start, "NVIDIA_VISIBLE_DEVICES") == "void");
      CHECK(Value(start, "HIP_VISIBLE_DEVICES").empty());
      CHECK(Value(start, "ROCR_VISIBLE_DEVICES").empty());
    }
  }
}

TEST_CASE("job start: libraries start as many threads as the job has CPUs, unless somebody says otherwise") {
  const auto threads = [](std::uint32_t cpu_milli, const std::vector<std::string>& of_agent,
                          const std::map<std::string, std::string>& of_job) {
    AgentFarm farm;
    farm.state.settings.env = of_agent;
    const Assign assign = With(MakeAssign(Attempt(1)), [&](JobSpec& spec) {
      spec.resources.cpu_milli = cpu_milli;
      for (const auto& [name, value] : of_job) spec.env[name] = value;
    });
    const runner::Start start = StartOf(farm, assign);
    return std::vector<std::string>{Value(start, "OMP_NUM_THREADS"), Value(start, "MKL_NUM_THREADS"),
                                    Value(start, "OPENBLAS_NUM_THREADS")};
  };
  using Threads = std::vector<std::string>;
  CHECK(threads(1000, {}, {}) == Threads{"1", "1", "1"});
  CHECK(threads(100, {}, {}) == Threads{"1", "1", "1"});
  CHECK(threads(2500, {}, {}) == Threads{"2", "2", "2"});
  CHECK(threads(64'000, {}, {}) == Threads{"64", "64", "64"});
  CHECK(threads(1000, {}, {{"OMP_NUM_THREADS", "8"}}) == Threads{"8", "8", "8"});
  CHECK(threads(1000, {}, {{"MKL_NUM_THREADS", "8"}}) == Threads{"1", "8", "1"});
  CHECK(threads(1000, {"OMP_NUM_THREADS=4"}, {}) == Threads{"4", "4", "4"});
  CHECK(threads(2000, {}, {{"OMP_NUM_THREADS", "4,2"}}) == Threads{"4,2", "2", "2"});
  CHECK(threads(2000, {}, {{"OMP_NUM_THREADS", ""}}) == Threads{"", "2", "2"});
}

TEST_CASE("job start: whether Python buffers is for the pipeline to say, and for the agent") {
  for (const bool by_agent : {true, false}) {
    AgentFarm farm;
    if (by_agent) farm.state.settings.env = {"PYTHONUNBUFFERED="};
    const Assign assign = With(MakeAssign(Attempt(1)), [&](JobSpec& spec) {
      if (!by_agent) spec.env = {{"PYTHONUNBUFFERED", ""}};
    });
    CHECK(Value(StartOf(farm, assign), "PYTHONUNBUFFERED").empty());
  }
}

TEST_CASE("job start: a job sees the GPUs that it was given and no others") {
  AgentFarm farm;
  farm.state.offer.gpus = {{"GPU-1", "H100", 1}, {"GPU-2", "H100", 1}, {"GPU-3", "H100", 1}};
  CHECK(Value(StartOf(farm, MakeAssign(Attempt(1))), "CUDA_VISIBLE_DEVICES").empty());
  Assign assign = MakeAssign(Attempt(1));
  assign.gpu_uuids = {"GPU-3", "GPU-1"};
  const runner::Start start = StartOf(farm, assign);
  CHECK(Value(start, "CUDA_VISIBLE_DEVICES") == "GPU-3,GPU-1");
  CHECK(Value(start, "NVIDIA_VISIBLE_DEVICES") == "GPU-3,GPU-1");
  CHECK(Value(start, "CUDA_DEVICE_ORDER") == "PCI_BUS_ID");
}

TEST_CASE("job start: timeout, grace and quota are the job's, the agent's, and the stricter word of the agent") {
  AgentFarm farm;
  Assign assign = With(MakeAssign(Attempt(1)), [](JobSpec& spec) { spec.timeout = milliseconds(5000); });
  assign.log_quota_bytes = 1000;
  runner::Start start = StartOf(farm, assign);
  CHECK(start.timeout_ms == 5000);
  CHECK(start.kill_grace_ms == 10000);
  CHECK(start.log_quota_bytes == 1000);
  farm.state.settings.log_quota_bytes = 200;
  farm.state.settings.kill_grace = seconds(3);
  start = StartOf(farm, assign);
  CHECK(start.log_quota_bytes == 200);
  CHECK(start.kill_grace_ms == 3000);
}

TEST_CASE("job start: the runner keeps the Assign, from which the attempt is known again") {
  AgentFarm farm;
  Assign assign = MakeAssign(Attempt(7, 3), std::vector<Hash>(kMaxTreesPerAssign, HashOf("tree")));
  assign.metrics = {{"loss", 1}};
  const runner::Start start = StartOf(farm, assign);
  assign.trees.clear();  // of no use any more, and large
  assign.metrics.clear();
  const auto read = ReadBlob(start.blob);
  REQUIRE(read.has_value());
  CHECK(read->first == assign);
  CHECK(read->second == kSlot);
  CHECK_FALSE(ReadBlob("abc").has_value());
}
