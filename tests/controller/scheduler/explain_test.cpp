#include "controller/scheduler/explain.h"

#include "controller/scheduler/plan.h"
#include "tests/support/controller_farm.h"

using namespace furrow;
using namespace furrow::testing;

TEST_CASE("why: machines that differ by a page of memory are told apart by who needs all of it") {
  ControllerFarm farm;
  Offer offer = Cpus(1);
  farm.Connect("a", offer);
  farm.Connect("b", offer);
  offer.memory_bytes += 4096;
  farm.Connect("c", offer);
  CHECK(farm.state.supply.classes.size() == 1);
  JobSpec job = MakeJob("test", {}, 4);
  job.resources.memory_bytes = offer.memory_bytes;
  Run& run = farm.Accept(MakePipeline({job}));
  farm.Plan();
  CHECK(ExplainWait(farm.state, run.groups[0]).reason ==
        "waits for 1 CPU, 8192 MiB memory: 1 agent that could take it is busy");
  job.resources.memory_bytes += 1;
  Run& larger = farm.Accept(MakePipeline({job}));
  CHECK(ExplainWait(farm.state, larger.groups[0]).never);
  CHECK(MakePlan(farm.state, 10).empty());
}

TEST_CASE("why: of many agents it names some, and says how many more there are") {
  ControllerFarm farm;
  for (int i = 0; i < 30; ++i) {
    farm.Connect("agent-" + std::to_string(100 + i), Cpus(1));
    EndSession(farm.state, farm.state.agents.at("agent-" + std::to_string(100 + i)));
  }
  Run& run = farm.Accept(MakePipeline({MakeJob("test")}));
  const WaitCause cause = ExplainWait(farm.state, run.groups[0]);
  CHECK(cause.reason.starts_with("every agent that could take it is away: agent-100, agent-101, "));
  CHECK(cause.reason.ends_with(", agent-119 and 10 more"));
}

TEST_CASE("why: it says what is missing, and who holds it") {
  ControllerFarm farm;
  JobSpec job = MakeJob("train");
  job.resources = {1500, 250, "a100", 0, 0};
  Run& run = farm.Accept(MakePipeline({job}));

  WaitCause cause = ExplainWait(farm.state, run.groups[0]);
  CHECK(cause.reason == "no agent is known; start furrow-agent on a machine");
  CHECK(cause.never);

  farm.Connect("cpu", Cpus(8));
  cause = ExplainWait(farm.state, run.groups[0]);
  CHECK(cause.reason == "no agent is large enough: it asks for 1.5 CPU, 0.25 GPU (a100)");
  CHECK(cause.never);

  Offer with_gpu = Cpus(8);
  with_gpu.gpus = {{"GPU-1", "NVIDIA A100", 40ull << 30}};
  farm.Connect("gpu", std::move(with_gpu));
  CHECK(ExplainWait(farm.state, run.groups[0]).reason == "is about to be assigned");
  farm.Plan();
  JobSpec whole = MakeJob("eval");
  whole.resources = {1000, 1000, "", 0, 1ull << 30};
  Run& second = farm.Accept(MakePipeline({whole}));
  cause = ExplainWait(farm.state, second.groups[0]);
  CHECK(cause.reason == "waits for 1 CPU, 1 GPU, 1024 MiB memory: 1 agent that could take it is busy");
  CHECK(cause.holders == std::vector<std::string>{"fashion#1/train on gpu"});
  CHECK_FALSE(cause.never);

  farm.Pass(farm.state.settings.heartbeat * 4);
  OnTick(farm.state, farm.out, farm.now);
  farm.out.Clear();
  CHECK(ExplainWait(farm.state, second.groups[0]).reason == "every agent that could take it is away: gpu");

  JobSpec labelled = MakeJob("labelled");
  labelled.labels = {"moon", "dust"};
  Run& third = farm.Accept(MakePipeline({labelled}));
  cause = ExplainWait(farm.state, third.groups[0]);
  CHECK(cause.reason == "no agent carries the labels: moon, dust");
  CHECK(cause.never);
}
