// What a turn of the controller costs with many agents, runs and shards: real reactors, made-up agents, no disk and no
// sockets. Prints one line of JSON.
//   turn_bench AGENTS RUNS SHARDS [BOUND]
// With a bound the program fails if a figure exceeds its budget so many times, or if the state contradicts itself.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "common/base/hash.h"
#include "controller/parse/prepare.h"
#include "controller/reactor/dispatcher.h"
#include "controller/reactor/pipelines.h"
#include "controller/reactor/reactor.h"
#include "controller/reactor/transitions.h"
#include "controller/scheduler/plan.h"

namespace furrow {
namespace {

constexpr std::uint64_t kGiB = 1ull << 30;
constexpr std::uint32_t kGroupsARun = 5;
constexpr PeerId kClient = 1'000'000;

using Samples = std::vector<double>;  // milliseconds

double Percentile(Samples samples, double share) {
  if (samples.empty()) return 0;
  std::sort(samples.begin(), samples.end());
  return samples[std::min(samples.size() - 1, static_cast<std::size_t>(share * static_cast<double>(samples.size())))];
}

template <class Work>
double Milliseconds(Work work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
}

double RssMib() {
  std::ifstream statm("/proc/self/statm");
  std::size_t all = 0, resident = 0;
  statm >> all >> resident;
  return static_cast<double>(resident) * static_cast<double>(sysconf(_SC_PAGESIZE)) / (1 << 20);
}

struct Figures {
  std::map<std::string, Samples> samples;  // by their name in the JSON; of a "full" one the worst counts
  std::size_t ready = 0;                   // shards that waited
  std::size_t needs = 0;                   // how many different needs they had
  std::size_t assigned = 0;                // shards that started where others had ended
  double rss_mib = 0;
};

class BenchFarm {
 public:
  BenchFarm(std::uint32_t agents, std::uint32_t runs, std::uint32_t shards, Figures& figures)
      : agents_(agents), runs_(runs), shards_(shards), figures_(figures) {
    state_ = RestoreState(Settings{}, Restored{}, now_, out_);
    state_.boot = 1;
  }

  // Every agent is free and every need is new: a plan with as many assignments as one may have.
  void MeasureStart() {
    for (std::uint32_t i = 0; i < agents_; ++i) Register(i);
    Queue();
    Note("full_plan_ms", Milliseconds([&] { MakePlan(state_, 4096); }));
    Note("full_turn_ms", Milliseconds([&] { EndTurn(state_, out_, now_); }));
  }

  // Every agent is full, each in its way, and the queue waits.
  void MeasureFull() {
    for (std::uint32_t i = 0; i < agents_; ++i) Register(i);
    Fill();
    Queue();
    Settle();
    figures_.ready = CountReady();
    figures_.needs = state_.demand.queues.size();
    // Every agent registers again: a whole plan, which finds room for nothing.
    for (std::uint32_t i = 0; i < agents_; ++i) Register(i);
    Note("full_plan_ms", Milliseconds([&] { MakePlan(state_, 4096); }));
    Settle();
    for (int i = 0; i < 200; ++i) Ask(Watch{{"queued", Below(runs_) + 1, "", {}}});
    EndTurn(state_, out_, now_);
    for (int i = 0; i < 2000; ++i) MeasureEvents();
    for (int i = 0; i < 200; ++i) MeasureQuestions();
    for (int i = 0; i < 20; ++i) Note("tick_ms", Milliseconds([&] { OnTick(state_, out_, now_); }));
    figures_.rss_mib = RssMib();
    state_.CheckInvariants();
  }

 private:
  std::uint32_t Below(std::uint32_t bound) { return static_cast<std::uint32_t>(random_() % bound); }
  void Note(const std::string& name, double value) { figures_.samples[name].push_back(value); }

  static std::string NameOf(std::uint32_t agent) { return "agent-" + std::to_string(100'000 + agent); }

  // Ten kinds of machines: seven for jobs with the label "cpu", of which some have more CPUs than memory allows to use,
  // and three with GPUs.
  static Offer OfferOf(std::uint32_t agent) {
    constexpr std::uint32_t kCpus[] = {4, 4, 8, 8, 16, 8, 16, 16, 32, 32};
    constexpr std::uint64_t kMemory[] = {8, 16, 16, 32, 64, 4, 8, 64, 128, 256};
    constexpr std::uint32_t kGpus[] = {0, 0, 0, 0, 0, 0, 0, 2, 4, 8};
    const std::uint32_t kind = agent % 10;
    Offer offer;
    offer.cpu_milli = kCpus[kind] * 1000;
    offer.memory_bytes = kMemory[kind] * kGiB;
    offer.labels = {"linux", kGpus[kind] > 0 ? "gpu" : "cpu"};
    if (kind % 2 == 1) offer.labels.push_back("nvme");
    for (std::uint32_t i = 0; i < kGpus[kind]; ++i)
      offer.gpus.push_back({"GPU-" + NameOf(agent) + "-" + std::to_string(i), kind == 7 ? "NVIDIA A100" : "NVIDIA H100",
                            (kind == 7 ? 40 : 80) * kGiB});
    return offer;
  }

  JobSpec AnyJob(const std::string& name, std::uint32_t shards) {
    JobSpec job;
    job.name = name;
    job.shards = shards;
    job.steps = {{"step", ExecStep{{"/bin/true"}}}};
    job.resources.memory_bytes = (1 + Below(4)) * kGiB;
    if (Below(5) == 0) {
      job.labels = {"gpu"};
      job.resources.gpu_milli = std::vector<std::uint32_t>{250, 500, 1000, 2000, 4000}[Below(5)];
      if (Below(2) == 0) job.resources.gpu_model = Below(2) == 0 ? "h100" : "a100";
    } else {
      job.labels = {"cpu"};
      if (Below(4) == 0) job.labels.push_back("nvme");
      job.resources.cpu_milli = std::vector<std::uint32_t>{1000, 1500, 2000, 4000, 8000}[Below(5)];
    }
    return job;
  }

  void Submit(const std::string& name, std::vector<JobSpec> jobs) {
    Pipeline pipeline;
    pipeline.name = name;
    pipeline.jobs = std::move(jobs);
    const SharedSpec spec = ShareSpec(std::move(pipeline));
    const PipelineId id = PipelineAt(state_, out_, now_, {name, {}, ""}).id;
    Run& run = AcceptRun(state_, out_, now_, {.request = Uuid{1, ++requests_}, .pipeline = id, .spec = spec});
    StartRun(state_, now_, run);
  }

  void Queue() {
    for (std::uint32_t i = 0; i < runs_; ++i) {
      std::vector<JobSpec> jobs;
      for (std::uint32_t group = 0; group < kGroupsARun; ++group)
        jobs.push_back(AnyJob("job-" + std::to_string(group), std::max(1u, shards_ / runs_ / kGroupsARun)));
      Submit("queued", std::move(jobs));
    }
    out_ = {};
  }

  // Ends turns until no further job fits.
  void Settle() {
    do {
      EndTurn(state_, out_, now_);
      out_ = {};
    } while (state_.plan_needed);
  }

  std::size_t CountReady() const {
    std::size_t ready = 0;
    for (const auto& [id, run] : state_.runs)
      for (const JobGroup& group : run.groups) ready += group.ready.size();
    return ready;
  }

  // Queues jobs until the agents are full, each in its way: of CPUs, of memory or of GPUs.
  void Fill() {
    Settle();
    JobSpec small;
    small.name = "small";
    small.shards = agents_ * 2;
    small.steps = {{"step", ExecStep{{"/bin/true"}}}};
    small.labels = {"cpu"};
    small.resources.memory_bytes = kGiB;
    JobSpec share = small;
    share.name = "share";
    share.labels = {"gpu"};
    share.resources.gpu_milli = 250;
    const auto full = [&] {
      const Run& last = state_.runs.rbegin()->second;
      return std::all_of(last.groups.begin(), last.groups.end(),
                         [](const JobGroup& group) { return !group.ready.empty(); });
    };
    do {
      Submit("filler", {small, share});
      Settle();
    } while (!full());
  }

  std::vector<HeldAttempt> HeldBy(const Agent& agent) const {
    std::vector<HeldAttempt> held;
    for (const JobId id : agent.booked.jobs) held.push_back({state_.FindJob(id).second->attempt(), Phase::kRunning});
    return held;
  }

  static Uuid Identity(std::uint32_t agent) { return {agent + 1, 1}; }

  Incoming FrameOf(std::uint32_t agent, const AgentMessage& message) const {
    return {agent + 1, {Role::kAgent, NameOf(agent)}, Encode(message).value()};
  }

  furrow::Register RegisterOf(std::uint32_t agent) const {
    furrow::Register message;
    message.oldest_version = message.newest_version = 1;
    message.software = "furrow-agent 0.1.0 (bench)";
    message.host = NameOf(agent) + ".example";
    message.incarnation = message.process = message.machine = message.boot = Identity(agent);
    message.offer = OfferOf(agent);
    if (const auto known = state_.agents.find(NameOf(agent)); known != state_.agents.end())
      message.held = HeldBy(known->second);
    return message;
  }

  void Register(std::uint32_t agent) {
    if (!Dispatch(state_, out_, now_, FrameOf(agent, RegisterOf(agent)))) std::abort();
    out_ = {};
  }

  // Returns what a turn takes that handles this frame alone.
  double Turn(const Incoming& frame) {
    now_.mono = now_.mono + std::chrono::milliseconds(1);
    now_.wall = WallTime{static_cast<std::int64_t>(now_.wall) + 1};
    out_ = {};
    return Milliseconds([&] {
      if (!Dispatch(state_, out_, now_, frame)) std::abort();
      EndTurn(state_, out_, now_);
    });
  }

  void MeasureEvents() {
    const std::uint32_t agent = Below(agents_);
    const Agent& known = state_.agents.at(NameOf(agent));
    furrow::Heartbeat beat;
    beat.session = known.link.session->id;
    beat.held = HeldBy(known);
    Note("event_heartbeat_ms", Turn(FrameOf(agent, beat)));
    Note("event_register_ms", Turn(FrameOf(agent, RegisterOf(agent))));
    if (known.booked.jobs.empty()) return;
    furrow::Finished finished;
    finished.session = known.link.session->id;
    const Job& job = *state_.FindJob(*known.booked.jobs.begin()).second;
    finished.attempt = job.attempt();
    finished.ended = now_.wall;
    finished.started = WallTime{static_cast<std::int64_t>(now_.wall) - (Below(4) == 0 ? 20 : 20'000)};
    finished.small_log = "passed\n";
    finished.log_length = finished.small_log->size();
    finished.log_hash = HashOf(*finished.small_log);
    Note("event_finished_ms", Turn(FrameOf(agent, finished)));
    for (const AgentSend& send : out_.to_agents)
      if (std::holds_alternative<Assign>(send.message)) ++figures_.assigned;
  }

  // Asks, and returns the answer.
  ClientReply Ask(const ClientRequest& request) {
    out_ = {};
    DispatchClient(state_, out_, now_, {kClient, ++requests_, "bench"}, request);
    if (!out_.history.empty()) return RunList{std::move(out_.history[0].live)};
    return out_.to_clients.empty() ? ClientReply{} : std::move(out_.to_clients[0].message);
  }

  // Returns how long the answer and its frame take.
  double Answered(const ClientRequest& request, ClientReply& reply) {
    return Milliseconds([&] {
      reply = Ask(request);
      if (std::holds_alternative<Failure>(reply) || !Encode(1, reply)) std::abort();
    });
  }

  void MeasureQuestions() {
    ClientReply reply;
    Note("runs_ms", Answered(ListRuns{.pipeline = "", .limit = 1000, .before = {}}, reply));
    const Selector run{Below(20) == 0 ? "filler" : "queued", 0, "", {}};
    Selector some = run;
    if (some.pipeline == "queued") some.number = Below(runs_) + 1;
    Note("show_ms", Answered(ShowRun{some, 0, 1000}, reply));
    Note("why_ms", Answered(Why{some}, reply));
    std::string after;
    for (bool more = true; more;) {
      Note("agents_ms", Answered(ListAgents{after, 1000}, reply));
      const AgentList& page = std::get<AgentList>(reply);
      if (page.agents.empty()) std::abort();
      after = page.agents.back().name;
      more = page.more;
    }
  }

  const std::uint32_t agents_, runs_, shards_;
  Figures& figures_;
  State state_;
  Outbox out_;
  Now now_{TimePoint{std::chrono::seconds(1000)}, WallTime{1'000'000}};
  std::mt19937 random_{1};
  std::uint64_t requests_ = 0;
};

// Prints the figures; returns whether all are within `bound` times their budget, and whether they were of a farm at
// work.
bool Print(const Figures& figures, double bound) {
  bool within = figures.rss_mib <= bound * 1024 && figures.ready > 0 && figures.assigned > 0;
  std::printf("{\"ready\": %zu, \"needs\": %zu, \"assigned\": %zu, \"rss_mib\": %.1f", figures.ready, figures.needs,
              figures.assigned, figures.rss_mib);
  for (const auto& [name, samples] : figures.samples) {
    const double value = Percentile(samples, name.starts_with("full") ? 1 : 0.99);
    std::printf(", \"%s\": %.4f", name.c_str(), value);
    within = within && value <= bound * (name.starts_with("event") ? 1 : 50);
  }
  std::printf("}\n");
  return within;
}

}  // namespace
}  // namespace furrow

int main(int count, char** words) {
  if (count < 4) {
    std::fprintf(stderr, "usage: turn_bench AGENTS RUNS SHARDS [BOUND]\n");
    return 2;
  }
  const auto number = [&](int i) { return static_cast<std::uint32_t>(std::strtoul(words[i], nullptr, 10)); };
  furrow::Figures figures;
  furrow::BenchFarm(number(1), number(2), number(3), figures).MeasureStart();
  furrow::BenchFarm(number(1), number(2), number(3), figures).MeasureFull();
  const bool within = furrow::Print(figures, count < 5 ? 1 : number(4));
  return within || count < 5 ? 0 : 1;
}
