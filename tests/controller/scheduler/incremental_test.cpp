// The scheduler looks only at what changed since the last whole plan. Here it plans random farms, event after event,
// beside a planner that looks at everything.
#include <random>
#include <set>
#include <tuple>

#include "controller/scheduler/plan.h"
#include "tests/controller/scheduler/reference_plan.h"
#include "tests/support/controller_farm.h"

using namespace furrow;
using namespace furrow::testing;

namespace {

constexpr std::uint64_t kGiB = 1ull << 30;

std::vector<std::tuple<JobId, std::string, std::vector<std::string>>> Plain(const std::vector<Assignment>& plan) {
  std::vector<std::tuple<JobId, std::string, std::vector<std::string>>> plain;
  for (const Assignment& one : plan) plain.emplace_back(one.job, one.agent, one.gpu_uuids);
  return plain;
}

class RandomFarm : public ControllerFarm {
 public:
  explicit RandomFarm(std::uint32_t seed) : random_(seed) {}

  std::uint32_t Below(std::uint32_t bound) { return static_cast<std::uint32_t>(random_() % bound); }
  bool OneIn(std::uint32_t count) { return Below(count) == 0; }

  void Event() {
    switch (Below(12)) {
      case 0:
      case 1: Register(); break;
      case 2:
      case 3:
      case 4: Submit(); break;
      case 5: SetCondition(); break;
      case 6: SetDrained(); break;
      case 7: CancelSome(); break;
      case 8: Silence(); break;
      default: FinishSome();
    }
    out.Clear();
  }

  // Compares both plans and carries ours out.
  void PlanAndCompare() {
    const std::size_t limit = OneIn(4) ? 1 + Below(4) : 1000;
    const std::vector<Assignment> plan = MakePlan(state, limit);
    CHECK(Plain(plan) == Plain(ReferencePlan(state, limit)));
    placed += plan.size();
    for (const Assignment& one : plan) AssignJob(state, out, now, one);
    if (plan.size() < limit) {
      NotePlanned(state);
      CHECK(ReferencePlan(state, 1).empty());
    }
    out.Clear();
    state.CheckInvariants();  // no GPU is promised twice
    for (const auto& [name, agent] : state.agents)
      if (agent.link.session && agent.booked.load.cpu_milli > agent.offer.cpu_milli) ++promised_ahead;
  }

  std::size_t placed = 0, promised_ahead = 0;

 private:
  std::string AgentName() { return "agent-" + std::to_string(Below(7)); }

  Offer AnyOffer() {
    Offer offer = Cpus(1 + Below(4));
    offer.memory_bytes = (1 + Below(3)) * 2 * kGiB + Below(3) * 4096;
    if (OneIn(2)) offer.labels.push_back("fast");
    if (OneIn(3)) offer.labels.insert(offer.labels.begin(), "linux");
    const std::uint32_t gpus = OneIn(2) ? Below(4) : 0;
    for (std::uint32_t i = 0; i < gpus; ++i)
      offer.gpus.push_back({"GPU-" + std::to_string(i), OneIn(2) ? "H100" : "A100", OneIn(2) ? 80 * kGiB : 40 * kGiB});
    return offer;
  }

  JobSpec AnyJob(const std::string& name) {
    JobSpec job = MakeJob(name, {}, OneIn(2) ? 1 + Below(8) : 1);
    job.resources.cpu_milli = std::vector<std::uint32_t>{0, 250, 500, 1000, 2000, 3000}[Below(6)];
    job.resources.memory_bytes = OneIn(2) ? Below(4) * kGiB : OneIn(4) ? 2 * kGiB + Below(3) * 4096 : 0;
    if (OneIn(4)) job.resources.gpu_milli = std::vector<std::uint32_t>{300, 500, 1000, 2000}[Below(4)];
    if (job.resources.gpu_milli > 0 && OneIn(2)) job.resources.gpu_model = "a100";
    if (job.resources.gpu_milli > 0 && OneIn(3)) job.resources.gpu_memory_bytes = 60 * kGiB;
    if (OneIn(3)) job.labels.push_back("fast");
    if (OneIn(5)) job.labels.push_back("linux");
    return job;
  }

  void Register() {
    const std::string name = AgentName();
    const Agent* known = state.FindAgent(name);
    // An agent that is known keeps its GPUs, for jobs hold these by name.
    Offer offer = AnyOffer();
    if (known != nullptr) offer.gpus = known->offer.gpus;
    std::vector<HeldAttempt> held;
    if (known != nullptr)
      for (const JobId id : known->booked.jobs) held.push_back({state.FindJob(id).second->attempt(), Phase::kRunning});
    On(state, out, now, {known != nullptr && known->link.session ? known->link.session->peer : ++peer_, name},
       Registration(name, std::move(offer), std::move(held)));
  }

  void Submit() {
    std::vector<JobSpec> jobs;
    for (std::uint32_t i = 0; i <= Below(3); ++i) jobs.push_back(AnyJob("job-" + std::to_string(i)));
    if (jobs.size() > 1 && OneIn(2)) jobs.back().needs = {jobs.front().name};
    Accept(MakePipeline(std::move(jobs)));
  }

  Agent* Connected() {
    Agent* agent = state.FindAgent(AgentName());
    return agent != nullptr && agent->link.session ? agent : nullptr;
  }

  void SetCondition() {
    if (Agent* agent = Connected()) {
      Heartbeat beat{agent->link.session->id, 1, {}, 0, OneIn(2) ? "its disk is nearly full" : ""};
      for (const JobId id : agent->booked.jobs)
        beat.held.push_back({state.FindJob(id).second->attempt(), Phase::kRunning});
      CHECK(On(state, out, now, {agent->link.session->peer, agent->name}, beat).has_value());
    }
  }

  void SetDrained() { On(state, out, now, {kAlice, 1}, DrainAgent{.agent = AgentName(), .drained = OneIn(2)}); }

  void CancelSome() {
    if (Raw(state.counters.run) == 0) return;
    const Run* run = state.FindRun(RunId{1 + Below(static_cast<std::uint32_t>(Raw(state.counters.run)))});
    if (run == nullptr) return;
    Selector what{run->record.name, run->record.number, "", {}};
    if (OneIn(2)) what.job = "job-0";
    On(state, out, now, {kAlice, 1}, Cancel{what, ""});
  }

  void Silence() {
    if (Agent* agent = Connected()) EndSession(state, *agent);
  }

  void FinishSome() {
    std::vector<JobId> held;
    for (const auto& [name, agent] : state.agents)
      if (agent.link.session) held.insert(held.end(), agent.booked.jobs.begin(), agent.booked.jobs.end());
    for (std::uint32_t i = Below(3); i < 3 && !held.empty(); ++i) {
      const std::size_t which = Below(static_cast<std::uint32_t>(held.size()));
      const Job& job = *state.FindJob(held[which]).second;
      held.erase(held.begin() + static_cast<std::ptrdiff_t>(which));
      Finished report = Report(job, OneIn(6) ? 1 : 0);
      report.started = WallTime{static_cast<std::int64_t>(report.ended) - (OneIn(2) ? 4 + Below(60) : 1000)};
      REQUIRE(Tell(job.agent, report).has_value());
    }
  }

  std::mt19937 random_;
  PeerId peer_ = 5000;
};

}  // namespace

TEST_CASE("plan: after any event it is the plan that a look at everything would make") {
  std::size_t placed = 0, ahead = 0;
  for (std::uint32_t seed = 1; seed <= 2000; ++seed) {
    CAPTURE(seed);
    RandomFarm farm(seed);
    for (int turn = 0; turn < 15; ++turn) {
      for (std::uint32_t i = 0; i <= farm.Below(4); ++i) farm.Event();
      farm.PlanAndCompare();
    }
    placed += farm.placed;
    ahead += farm.promised_ahead;
  }
  CHECK(placed > 20'000);  // The farms are not idle, nor so small that nothing fits.
  CHECK(ahead > 100);
}

TEST_CASE("plan: ten kinds of a thousand agents each are ten classes, and a full plan is the plain one") {
  ControllerFarm farm;
  for (int i = 0; i < 10'000; ++i) {
    Offer offer = Cpus(static_cast<std::uint32_t>(2 + i % 10));
    if (i % 2 == 0) offer.labels = {i % 4 == 0 ? "even" : "odd", "any"};
    if (i % 4 == 2) std::swap(offer.labels[0], offer.labels[1]);  // The order of labels makes no class,
    offer.memory_bytes += static_cast<std::uint64_t>(i) * 4096;   // and some pages of memory make none.
    offer.gpus.resize(i % 10 == 7 ? 2 : 0);
    for (std::size_t gpu = 0; gpu < offer.gpus.size(); ++gpu)
      offer.gpus[gpu] = {"GPU-" + std::to_string(i) + "-" + std::to_string(gpu), "H100", 80 * kGiB};
    On(farm.state, farm.out, farm.now, {static_cast<PeerId>(i + 1), "agent-" + std::to_string(i)},
       farm.Registration("agent-" + std::to_string(i), std::move(offer)));
  }
  farm.out.Clear();
  CHECK(farm.state.supply.classes.size() == 15);  // Even numbers of CPUs come with either label.
  JobSpec labelled = MakeJob("labelled", {}, 40);
  labelled.labels = {"any", "even"};
  JobSpec gpu = MakeJob("gpu", {}, 20);
  gpu.resources.gpu_milli = 500;
  JobSpec large = MakeJob("large", {}, 60);
  large.resources.cpu_milli = 11'000;
  farm.Accept(MakePipeline({labelled, gpu, large}));
  farm.Accept(MakePipeline({large, labelled}));
  CHECK(Plain(MakePlan(farm.state, 10'000)) == Plain(ReferencePlan(farm.state, 10'000)));
  large.shards = 1100;
  farm.Accept(MakePipeline({large}));
  CHECK(MakePlan(farm.state, 10'000).size() == 40 + 20 + 60 + 60 + 40 + 880);  // A thousand agents have 11 CPUs.
}

TEST_CASE("plan: an agent that is drained, away or not well leaves those that take jobs, and no other class") {
  ControllerFarm farm;
  farm.Connect("a", Cpus(1));
  farm.Connect("b", Cpus(1));
  const Agent& a = farm.state.agents.at("a");
  const AgentClass& both = *a.filed.in;
  CHECK(both.taking.size() == 2);
  On(farm.state, farm.out, farm.now, {kAlice, 1}, DrainAgent{.agent = "a"});
  CHECK(both.drained.contains(&a));
  On(farm.state, farm.out, farm.now, {kAlice, 1}, DrainAgent{.agent = "a", .drained = false});
  CHECK(both.taking.contains(&a));
  CHECK(farm.state.supply.freer.contains(&a));
  const Heartbeat ill{farm.Session("a"), 1, {}, 0, "its disk is nearly full"};
  CHECK(On(farm.state, farm.out, farm.now, {farm.Peer("a"), "a"}, ill).has_value());
  CHECK(both.troubled.contains(&a));
  CHECK_FALSE(farm.state.supply.freer.contains(&a));
  EndSession(farm.state, farm.state.agents.at("a"));
  CHECK(both.away.contains(&a));
  CHECK(both.taking.size() == 1);
  farm.out.Clear();
  farm.Accept(MakePipeline({MakeJob("test", {}, 3)}));
  CHECK(MakePlan(farm.state, 100).size() == 1);

  On(farm.state, farm.out, farm.now, {farm.Peer("b"), "b"}, farm.Registration("b", Cpus(3)));
  CHECK(farm.state.agents.at("b").filed.in != &both);
  CHECK(MakePlan(farm.state, 100).size() == 3);
  farm.out.Clear();
}

TEST_CASE("plan: what waits is not looked at again until an agent is freer") {
  ControllerFarm farm;
  farm.Connect("a", Cpus(2));
  JobSpec wide = MakeJob("wide");
  wide.resources.cpu_milli = 2000;
  Run& run = farm.Accept(MakePipeline({MakeJob("first", {}, 2), wide, MakeJob("narrow", {}, 2)}));
  farm.Plan();
  CHECK(farm.state.supply.freer.empty());
  CHECK(farm.state.demand.queues.size() == 2);
  for (const auto& [need, queue] : farm.state.demand.queues) CHECK_FALSE(queue.IsNew(farm.state.demand.plans));
  farm.Finish(farm.JobOf(run, "first", 0));
  CHECK(farm.state.supply.freer.size() == 1);
  farm.Plan();
  CHECK(farm.StateOf(run, "wide") == JobState::kReady);
  CHECK(farm.StateOf(run, "narrow", 0) == JobState::kAssigned);
  // Jobs that came later and need what waits already do not make the need new.
  farm.Accept(MakePipeline({wide}));
  CHECK(MakePlan(farm.state, 100).empty());
  CHECK(ReferencePlan(farm.state, 100).empty());
}
