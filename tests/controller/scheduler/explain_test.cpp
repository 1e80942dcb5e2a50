#include "controller/scheduler/explain.h"

#include "tests/support/controller_farm.h"

using namespace furrow;
using namespace furrow::testing;

TEST_CASE("why: it says what is missing, and who holds it") {
  ControllerFarm farm;
  JobSpec job = MakeJob("train");
  job.resources = {1500, 250, "a100", 0, 0};
  Run& run = farm.Accept(MakePipeline({job}));
  const Job& waiting = run.jobs[0];

  WaitCause cause = ExplainWait(farm.state, run, waiting);
  CHECK(cause.reason == "no agent is known; start furrow-agent on a machine");
  CHECK(cause.never);

  farm.Connect("cpu", Cpus(8));
  cause = ExplainWait(farm.state, run, waiting);
  CHECK(cause.reason == "no agent is large enough: it asks for 1.5 CPU, 0.25 GPU (a100)");
  CHECK(cause.never);

  Offer with_gpu = Cpus(8);
  with_gpu.gpus = {{"GPU-1", "NVIDIA A100", 40ull << 30}};
  farm.Connect("gpu", std::move(with_gpu));
  CHECK(ExplainWait(farm.state, run, waiting).reason == "is about to be assigned");
  farm.Plan();
  JobSpec whole = MakeJob("eval");
  whole.resources = {1000, 1000, "", 0, 1ull << 30};
  Run& second = farm.Accept(MakePipeline({whole}));
  cause = ExplainWait(farm.state, second, second.jobs[0]);
  CHECK(cause.reason == "waits for 1 CPU, 1 GPU, 1024 MiB memory: 1 agent that could take it is busy");
  CHECK(cause.holders == std::vector<std::string>{"fashion#1/train on gpu"});
  CHECK_FALSE(cause.never);

  farm.Pass(farm.state.settings.heartbeat * 4);
  OnTick(farm.state, farm.out, farm.now);
  farm.out.Clear();
  CHECK(ExplainWait(farm.state, second, second.jobs[0]).reason == "every agent that could take it is away: gpu");

  JobSpec labelled = MakeJob("labelled");
  labelled.labels = {"moon", "dust"};
  Run& third = farm.Accept(MakePipeline({labelled}));
  cause = ExplainWait(farm.state, third, third.jobs[0]);
  CHECK(cause.reason == "no agent carries the labels: moon, dust");
  CHECK(cause.never);
}
