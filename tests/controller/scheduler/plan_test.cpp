#include "controller/scheduler/plan.h"

#include <map>
#include <set>

#include "controller/scheduler/explain.h"
#include "tests/support/controller_farm.h"

using namespace furrow;
using namespace furrow::testing;

namespace {

std::map<std::string, int> CountByAgent(const std::vector<Assignment>& plan) {
  std::map<std::string, int> count;
  for (const Assignment& one : plan) ++count[one.agent];
  return count;
}

Offer WithGpus(std::vector<Gpu> gpus) {
  Offer offer = Cpus(8);
  offer.gpus = std::move(gpus);
  return offer;
}

// Makes the jobs of the run's first group known to be so short.
void SetMean(ControllerFarm& farm, Run& run, Duration mean) {
  run.groups[0].mean_duration = mean;
  Enqueue(farm.state, run, run.groups[0]);
}

constexpr std::uint64_t kGiB = 1ull << 30;

}  // namespace

TEST_CASE("plan: shards of a job spread over the agents") {
  ControllerFarm farm;
  farm.Connect("a", Cpus(4));
  farm.Connect("b", Cpus(4));
  farm.Accept(MakePipeline({MakeJob("test", {}, 4)}));
  CHECK(CountByAgent(MakePlan(farm.state, 100)) == std::map<std::string, int>{{"a", 2}, {"b", 2}});
}

TEST_CASE("plan: shards that are on an agent already count for the spread") {
  ControllerFarm farm;
  farm.Connect("a", Cpus(2));
  Run& run = farm.Accept(MakePipeline({MakeJob("test", {}, 4)}));
  farm.Plan();
  farm.Finish(farm.JobOf(run, "test", 0));
  farm.Connect("b", Cpus(1));
  const std::vector<Assignment> plan = MakePlan(farm.state, 100);
  REQUIRE(plan.size() == 2);
  CHECK(plan.front().agent == "b");
}

TEST_CASE("plan: nothing is planned onto agents that are away, and nothing for runs that are being cancelled") {
  ControllerFarm farm;
  farm.Connect("a");
  farm.Accept(MakePipeline({MakeJob("test")}));
  CHECK(MakePlan(farm.state, 100).size() == 1);
  On(farm.state, farm.out, farm.now, {kAlice, 1}, Cancel{{"fashion", 1, "", {}}, ""});
  farm.out.Clear();
  CHECK(MakePlan(farm.state, 100).empty());
  farm.Accept(MakePipeline({MakeJob("test")}));
  CHECK(MakePlan(farm.state, 100).size() == 1);
  farm.Pass(farm.state.settings.heartbeat * 4);
  OnTick(farm.state, farm.out, farm.now);
  farm.out.Stored<AgentRecord>();
  CHECK(MakePlan(farm.state, 100).empty());
}

TEST_CASE("plan: a drained agent gets nothing new, and says so to who asks why") {
  ControllerFarm farm;
  farm.Connect("a");
  Run& run = farm.Accept(MakePipeline({MakeJob("test")}));
  farm.state.agents.at("a").drained = true;
  File(farm.state, farm.state.agents.at("a"));
  CHECK(MakePlan(farm.state, 100).empty());
  const WaitCause cause = ExplainWait(farm.state, run.groups[0]);
  CHECK(cause.reason.find("drained") != std::string::npos);
  CHECK(cause.reason.find(" a") != std::string::npos);
  CHECK_FALSE(cause.never);
  farm.Connect("b");
  CHECK(CountByAgent(MakePlan(farm.state, 100)) == std::map<std::string, int>{{"b", 1}});
}

TEST_CASE("plan: a job that does not fit does not hold up smaller ones behind it") {
  ControllerFarm farm;
  farm.Connect("a", Cpus(2));
  JobSpec big = MakeJob("big");
  big.resources.cpu_milli = 2000;
  JobSpec filler = MakeJob("filler");
  Run& run = farm.Accept(MakePipeline({filler}));
  farm.Plan();
  Run& next = farm.Accept(MakePipeline({big, MakeJob("small")}));
  const std::vector<Assignment> plan = MakePlan(farm.state, 100);
  REQUIRE(plan.size() == 1);
  CHECK(plan[0].job == farm.JobOf(next, "small").id);
  CHECK(run.jobs[0].state == JobState::kAssigned);
}

TEST_CASE("plan: runs come in the order of their arrival") {
  ControllerFarm farm;
  farm.Connect("a", Cpus(1));
  Run& first = farm.Accept(MakePipeline({MakeJob("one")}));
  farm.Accept(MakePipeline({MakeJob("two")}));
  const std::vector<Assignment> plan = MakePlan(farm.state, 100);
  REQUIRE(plan.size() == 1);
  CHECK(plan[0].job == first.jobs[0].id);
}

TEST_CASE("plan: at most the limit in one plan, and the rest in the next") {
  ControllerFarm farm;
  farm.Connect("a", Cpus(8));
  farm.Accept(MakePipeline({MakeJob("test", {}, 5)}));
  const std::vector<Assignment> plan = MakePlan(farm.state, 3);
  CHECK(plan.size() == 3);
  for (const Assignment& one : plan) AssignJob(farm.state, farm.out, farm.now, one);
  farm.out.Clear();
  CHECK(MakePlan(farm.state, 3).size() == 2);
}

TEST_CASE("plan: labels and memory are demanded and memory is booked") {
  ControllerFarm farm;
  Offer plain = Cpus(8);
  plain.memory_bytes = 64 * kGiB;
  farm.Connect("plain", plain);
  Offer fast = Cpus(8);
  fast.memory_bytes = 3 * kGiB;
  fast.labels = {"nvme", "linux"};
  farm.Connect("fast", fast);
  JobSpec job = MakeJob("test", {}, 3);
  job.labels = {"linux", "nvme"};
  job.resources.memory_bytes = 1536ull << 20;
  farm.Accept(MakePipeline({job}));
  CHECK(CountByAgent(MakePlan(farm.state, 100)) == std::map<std::string, int>{{"fast", 2}});
}

TEST_CASE("plan: whole GPUs go to one job each, by uuid") {
  ControllerFarm farm;
  farm.Connect("g", WithGpus({{"GPU-1", "H100", 80 * kGiB}, {"GPU-2", "H100", 80 * kGiB}, {"GPU-3", "H100", 0}}));
  JobSpec job = MakeJob("train", {}, 3);
  job.resources.gpu_milli = 1000;
  farm.Accept(MakePipeline({job}));
  const std::vector<Assignment> plan = MakePlan(farm.state, 100);
  REQUIRE(plan.size() == 3);
  std::set<std::string> uuids;
  for (const Assignment& one : plan) {
    REQUIRE(one.gpu_uuids.size() == 1);
    uuids.insert(one.gpu_uuids[0]);
  }
  CHECK(uuids.size() == 3);
}

TEST_CASE("plan: several whole GPUs come from one agent") {
  ControllerFarm farm;
  farm.Connect("one", WithGpus({{"GPU-1", "H100", 80 * kGiB}}));
  farm.Connect("two", WithGpus({{"GPU-2", "H100", 80 * kGiB}, {"GPU-3", "H100", 80 * kGiB}}));
  JobSpec job = MakeJob("train");
  job.resources.gpu_milli = 2000;
  farm.Accept(MakePipeline({job}));
  const std::vector<Assignment> plan = MakePlan(farm.state, 100);
  REQUIRE(plan.size() == 1);
  CHECK(plan[0].agent == "two");
  CHECK(plan[0].gpu_uuids == std::vector<std::string>{"GPU-2", "GPU-3"});
}

TEST_CASE("plan: shares of a GPU fill one device before they open another, and never exceed it") {
  ControllerFarm farm;
  farm.Connect("g", WithGpus({{"GPU-1", "H100", 80 * kGiB}, {"GPU-2", "H100", 80 * kGiB}}));
  JobSpec job = MakeJob("eval", {}, 4);
  job.resources.gpu_milli = 400;
  farm.Accept(MakePipeline({job}));
  std::map<std::string, int> on;
  for (const Assignment& one : MakePlan(farm.state, 100)) ++on[one.gpu_uuids.at(0)];
  CHECK(on == std::map<std::string, int>{{"GPU-1", 2}, {"GPU-2", 2}});
  const std::vector<Assignment> two = MakePlan(farm.state, 2);
  CHECK(two[0].gpu_uuids == two[1].gpu_uuids);
}

TEST_CASE("plan: a GPU's model and memory are demanded, the model in any case") {
  ControllerFarm farm;
  farm.Connect("g", WithGpus({{"GPU-1", "NVIDIA H100 80GB HBM3", 80 * kGiB},
                              {"GPU-2", "NVIDIA A100-SXM4-40GB", 40 * kGiB},
                              {"GPU-3", "NVIDIA A100-SXM4-80GB", 80 * kGiB}}));
  JobSpec job = MakeJob("train");
  job.resources.gpu_milli = 1000;
  job.resources.gpu_model = "a100";
  job.resources.gpu_memory_bytes = 48 * kGiB;
  farm.Accept(MakePipeline({job}));
  const std::vector<Assignment> plan = MakePlan(farm.state, 100);
  REQUIRE(plan.size() == 1);
  CHECK(plan[0].gpu_uuids == std::vector<std::string>{"GPU-3"});
}

TEST_CASE("plan: short siblings are promised ahead of their turn, for as much work as the settings say") {
  ControllerFarm farm;
  farm.Connect("a", Cpus(2));
  Run& run = farm.Accept(MakePipeline({MakeJob("test", {}, 1000)}));
  CHECK(MakePlan(farm.state, 10000).size() == 2);  // unknown durations: none ahead
  SetMean(farm, run, milliseconds(10));
  CHECK(MakePlan(farm.state, 10000).size() == 12);  // 50 ms of 10 ms jobs on two CPUs, and two that run
  SetMean(farm, run, milliseconds(51));
  CHECK(MakePlan(farm.state, 10000).size() == 2);
  SetMean(farm, run, std::chrono::microseconds(1));  // counts as 1 ms
  CHECK(MakePlan(farm.state, 10000).size() == 102);
  Settings longer = farm.state.settings;
  longer.prefetch = seconds(1);
  OnSettings(farm.state, longer);
  CHECK(MakePlan(farm.state, 10000).size() == 130);  // 64 deep, no more
}

TEST_CASE("plan: nothing that needs a GPU is promised ahead") {
  ControllerFarm farm;
  farm.Connect("g", WithGpus({{"GPU-1", "H100", 80 * kGiB}}));
  JobSpec job = MakeJob("train", {}, 10);
  job.resources.gpu_milli = 1000;
  Run& run = farm.Accept(MakePipeline({job}));
  SetMean(farm, run, milliseconds(1));
  CHECK(MakePlan(farm.state, 100).size() == 1);
}

TEST_CASE("plan: memory is never promised ahead") {
  ControllerFarm farm;
  Offer offer = Cpus(1);
  offer.memory_bytes = 2 * kGiB;
  farm.Connect("a", offer);
  JobSpec job = MakeJob("test", {}, 10);
  job.resources.memory_bytes = kGiB;
  Run& run = farm.Accept(MakePipeline({job}));
  SetMean(farm, run, milliseconds(1));
  CHECK(MakePlan(farm.state, 100).size() == 2);
}

TEST_CASE("plan: jobs that take no time at all stay known as short") {
  ControllerFarm farm;
  farm.Connect("a", Cpus(1));
  Run& run = farm.Accept(MakePipeline({MakeJob("test", {}, 100)}));
  for (std::uint32_t i = 0; i < 99; ++i) {
    farm.Plan();
    Finished message = farm.Report(run.jobs[i]);
    message.started = message.ended;
    REQUIRE(farm.Tell("a", message).has_value());
    farm.out.Clear();
    CHECK(run.groups[0].mean_duration > Duration::zero());
  }
}
