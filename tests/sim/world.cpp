#include "tests/sim/world.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "agent/reactor.h"
#include "common/check.h"
#include "common/codec.h"
#include "common/hash.h"
#include "controller/dispatcher.h"
#include "controller/reactor.h"
#include "controller/transitions.h"
#include "tests/sim/node.h"

namespace furrow::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr PeerId kClient = 1;

Settings SimSettings() {
  Settings settings;
  settings.heartbeat = seconds(2);
  settings.lease = seconds(30);
  settings.repository_poll = Duration::max();
  return settings;
}

template <class Frame>
Bytes AsFrame(const Frame& frame) {
  return {reinterpret_cast<const std::uint8_t*>(frame.data()), frame.size()};
}

}  // namespace

World::World(std::uint64_t seed, int agents, Weather weather) : seed_(seed), random_(seed), weather_(weather) {
  last_peer_ = kClient;
  StartController();
  for (int i = 0; i < agents; ++i) {
    nodes_.push_back(std::make_unique<Node>());
    Node& node = *nodes_.back();
    node.name = "agent-" + std::to_string(i + 1);
    node.incarnation = Uuid{seed, static_cast<std::uint64_t>(i) + 1};
    StartAgent(node);
  }
  At(seconds(1), [this] { Accidents(); });
}

World::~World() = default;

void World::At(Duration delay, std::function<void()> what) {
  events_.push({time_ + delay, ++ordered_, std::move(what)});
}

Duration World::Between(Duration low, Duration high) {
  return Duration{std::uniform_int_distribution<std::int64_t>(low.count(), high.count())(random_)};
}

void World::Step() {
  Event event = events_.top();
  events_.pop();
  time_ = std::max(time_, event.at);
  event.what();
}

void World::Pass(Duration span) {
  const Duration until = time_ + span;
  while (!events_.empty() && events_.top().at <= until) Step();
  time_ = until;
}

bool World::HealAndFinish() {
  weather_ = Weather{0, 0, 0, 0, 0, 0, 0, 0, 0};
  const Duration limit = time_ + std::chrono::hours(1);
  while (time_ < limit) {
    Pass(seconds(1));
    if (!unanswered_.empty() || !controller_) continue;
    const auto& runs = disk_.runs();
    if (std::all_of(runs.begin(), runs.end(),
                    [](const auto& entry) { return entry.second.state != RunState::kRunning; }))
      return true;
  }
  Describe();
  return false;
}

// What is stuck, for whoever has to find out why.
void World::Describe() const {
  std::fprintf(stderr, "seed %llu, controller %s, %zu requests unanswered\n", static_cast<unsigned long long>(seed_),
               controller_ ? "up" : "down", unanswered_.size());
  for (const auto& [id, job] : disk_.jobs())
    if (!IsTerminal(job.state) && disk_.runs().at(job.run).state == RunState::kRunning)
      std::fprintf(stderr, "  job %llu epoch %llu: %s on %s\n", static_cast<unsigned long long>(Raw(id)),
                   static_cast<unsigned long long>(Raw(job.epoch)), JobStateName(job.state), job.agent.c_str());
  for (const auto& node : nodes_) {
    std::fprintf(stderr, "  %s: %s, %zu processes, %zu in the runner's table\n", node->name.c_str(),
                 node->agent ? "up" : "down", node->processes.size(), node->table.size());
    if (!node->agent) continue;
    const AgentState& state = node->agent->state;
    std::fprintf(stderr, "    runner %s, session %s\n", state.runner_ready ? "ready" : "unknown",
                 state.session ? "yes" : "no");
    for (const auto& [ref, job] : state.jobs)
      std::fprintf(stderr, "    job %llu/%llu stage %d\n", static_cast<unsigned long long>(Raw(ref.job)),
                   static_cast<unsigned long long>(Raw(ref.epoch)), static_cast<int>(job.stage));
  }
}

// ---- accidents ---------------------------------------------------------------------------------------------

void World::Accidents() {
  if (controller_ && Chance() < weather_.controller_crash) {
    controller_.reset();
    ++controller_life_;
    At(Between(milliseconds(50), seconds(5)), [this] { StartController(); });
  }
  for (auto& one : nodes_) {
    Node& node = *one;
    if (Chance() < weather_.runner_crash) KillRunner(node);
    if (Chance() < weather_.partition) node.cut_until = time_ + Between(seconds(1), seconds(60));
    if (node.agent && Chance() < weather_.agent_stop) node.stopped_until = time_ + Between(seconds(1), seconds(60));
    if (node.agent && Chance() < weather_.agent_crash) {
      KillAgent(node);
      At(Between(milliseconds(50), seconds(50)), [this, &node] { StartAgent(node); });
    }
    if (node.agent && Chance() < weather_.machine_lost) {
      KillAgent(node);
      KillRunner(node);
      node.table.clear();
      node.incarnation.high += 1000;
      At(Between(seconds(1), seconds(50)), [this, &node] { StartAgent(node); });
    }
  }
  At(seconds(1), [this] { Accidents(); });
}

// ---- network -------------------------------------------------------------------------------------------------

void World::Carry(Node& node, std::function<void()> deliver) {
  if (Chance() < weather_.loss || time_ < node.cut_until) return;
  const int copies = Chance() < weather_.doubled ? 2 : 1;
  for (int i = 0; i < copies; ++i) {
    const Duration delay =
        Chance() < weather_.slow ? Between(milliseconds(1), seconds(3)) : Between(milliseconds(0), milliseconds(5));
    At(delay, deliver);
  }
}

void World::ToController(Node& node, const AgentMessage& message) {
  Carry(node, [this, peer = node.peer, name = node.name, frame = Encode(message)] {
    if (!controller_) return;
    trace_ = (trace_ ^ std::hash<std::string>{}(frame)) * 1099511628211ULL;
    const Result<AgentMessage> decoded = DecodeAgentMessage(AsFrame(frame));
    FURROW_CHECK(decoded.has_value(), "what an agent encodes is decoded");
    (void)DispatchAgent(controller_->state, controller_->out, Clock(), peer, name, *decoded);
    ControllerTurn();
  });
}

void World::ToAgentNode(PeerId peer, const ToAgent& message) {
  for (auto& one : nodes_) {
    Node& node = *one;
    if (node.peer != peer) continue;
    Carry(node, [this, &node, life = node.life, frame = Encode(message)] {
      if (!node.agent || node.life != life) return;  // the connection went with the process
      trace_ = (trace_ ^ std::hash<std::string>{}(frame)) * 1099511628211ULL;
      const Result<ToAgent> decoded = DecodeToAgent(AsFrame(frame));
      FURROW_CHECK(decoded.has_value(), "what a controller encodes is decoded");
      AgentTurn(node, [=, this](AgentState& state, AgentOutbox& out) {
        (void)OnControllerMessage(state, out, Clock(), *decoded);
      });
    });
  }
}

// ---- controller --------------------------------------------------------------------------------------------------

void World::StartController() {
  controller_ = std::make_unique<Controller>();
  controller_->state = RestoreState(SimSettings(), disk_.Load(), Clock(), controller_->out);
  ControllerTurn();
  TickController();
}

void World::TickController() {
  At(milliseconds(250), [this, life = controller_life_] {
    if (!controller_ || life != controller_life_) return;
    OnTick(controller_->state, controller_->out, Clock());
    ControllerTurn();
    TickController();
  });
}

void World::ControllerTurn() {
  EndTurn(controller_->state, controller_->out, Clock());
  controller_->state.CheckInvariants();
  HandOver();
}

void World::HandOver() {
  Controller& controller = *controller_;
  if (controller.out.empty()) return;
  Outbox out = std::exchange(controller.out, {});
  Turn turn{0, std::exchange(out.records, {}), std::exchange(out.small_logs, {})};
  controller.turns.emplace_back(std::move(turn), std::move(out));
  if (controller.committing) return;
  controller.committing = true;
  At(Between(std::chrono::microseconds(50), milliseconds(3)), [this, life = controller_life_] {
    if (!controller_ || life != controller_life_) return;
    Controller& now = *controller_;
    std::vector<std::pair<Turn, Outbox>> turns = std::exchange(now.turns, {});
    now.committing = false;
    for (const auto& [committed, effects] : turns) disk_.Apply(committed);
    for (const auto& [committed, effects] : turns) Release(effects);
    if (!now.out.empty()) HandOver();
  });
}

void World::Release(const Outbox& out) {
  for (const BulkCommand& command : out.bulk) {
    const auto* durable = std::get_if<BulkSealDurable>(&command);
    if (durable == nullptr) continue;
    for (auto& one : nodes_) {
      Node& node = *one;
      if (!node.sealing.contains(durable->attempt) || time_ < node.cut_until) continue;
      At(milliseconds(1), [this, &node, life = node.life, attempt = durable->attempt] {
        const auto sealing = node.sealing.find(attempt);
        if (!node.agent || node.life != life || sealing == node.sealing.end()) return;
        const LogStreamed streamed{attempt, sealing->second, HashOf("log")};
        node.sealing.erase(sealing);
        AgentTurn(node, [=, this](AgentState& state, AgentOutbox& effects) {
          OnUploadEvent(state, effects, Clock(), streamed);
        });
      });
    }
  }
  for (const AgentSend& send : out.to_agents) ToAgentNode(send.peer, send.message);
  for (const ClientSend& send : out.to_clients) TakeAnswer(send);
}

// ---- client
// ----------------------------------------------------------------------------------------------------------

void World::Submit(Pipeline pipeline) {
  // The text of a pipeline is the parser's business; here a run is accepted as the reactor does it after parsing.
  const Uuid request{seed_, ++requests_};
  const std::uint64_t number = requests_;
  furrow::Submit submit;
  submit.request = request;
  unanswered_[number] = submit;
  pipelines_[number] = std::move(pipeline);
  Ask(number);
}

void World::Ask(std::uint64_t number) {
  const auto it = unanswered_.find(number);
  if (it == unanswered_.end()) return;
  At(Between(milliseconds(1), milliseconds(10)), [this, number, request = it->second] {
    if (!controller_ || Chance() < weather_.loss || !unanswered_.contains(number)) return;
    if (const auto* submit = std::get_if<furrow::Submit>(&request)) {
      if (const auto known = controller_->state.requests.find(submit->request);
          known != controller_->state.requests.end()) {
        Answer(controller_->out, kClient, number, Submitted{known->second, "", true, ""});
      } else {
        Run& run = AcceptRun(controller_->state, controller_->out, Clock(), submit->request, pipelines_.at(number),
                             Hash{}, SourceInfo{});
        StartRun(controller_->state, Clock(), run);
        Answer(controller_->out, kClient, number, Submitted{controller_->state.last_run, "", false, ""});
      }
    } else {
      DispatchClient(controller_->state, controller_->out, Clock(), kClient, number, request);
    }
    ControllerTurn();
  });
  At(seconds(2), [this, number] { Ask(number); });
}

void World::TakeAnswer(const ClientSend& send) {
  if (Chance() < weather_.loss) return;
  const auto it = unanswered_.find(send.number);
  if (it == unanswered_.end()) return;
  if (const auto* submitted = std::get_if<Submitted>(&send.message)) {
    const Uuid request = std::get<furrow::Submit>(it->second).request;
    const auto [known, fresh] = acknowledged_.emplace(request, submitted->run);
    FURROW_CHECK(fresh || known->second == submitted->run, "one request is one run");
  }
  unanswered_.erase(it);
}

void World::CancelNewest() {
  if (disk_.runs().empty()) return;
  const RunRecord& run = disk_.runs().rbegin()->second;
  const std::uint64_t number = ++requests_;
  unanswered_[number] = Cancel{{run.pipeline.name, run.number, "", std::nullopt}, "by the simulator"};
  Ask(number);
}

// ---- what must hold ------------------------------------------------------------------------------------------------

void World::CheckLedger() const {
  const auto fail = [&](const std::string& what) {
    std::fprintf(stderr, "seed %llu: %s\n", static_cast<unsigned long long>(seed_), what.c_str());
    std::abort();
  };
  for (const auto& [request, run] : acknowledged_)
    if (!disk_.runs().contains(run)) fail("an acknowledged run was lost");
  std::map<JobId, std::vector<const Execution*>> by_job;
  std::set<AttemptRef> seen;
  for (const Execution& one : executions_) {
    if (!seen.insert(one.attempt).second)
      fail("attempt " + std::to_string(Raw(one.attempt.job)) + "/" + std::to_string(Raw(one.attempt.epoch)) +
           " ran twice");
    by_job[one.attempt.job].push_back(&one);
  }
  for (const auto& [job, runs] : by_job)
    for (std::size_t i = 0; i < runs.size(); ++i)
      for (std::size_t k = i + 1; k < runs.size(); ++k) {
        const Duration first_end = runs[i]->until.value_or(time_);
        const Duration second_end = runs[k]->until.value_or(time_);
        if (runs[i]->from < second_end && runs[k]->from < first_end)
          fail("two attempts of job " + std::to_string(Raw(job)) + " ran at once, on " + runs[i]->agent + " and " +
               runs[k]->agent);
      }
  for (const auto& [id, job] : disk_.jobs()) {
    if (job.state != JobState::kPassed) continue;
    const bool ran = std::any_of(executions_.begin(), executions_.end(), [&](const Execution& one) {
      return one.attempt.job == id && one.attempt.epoch == job.attempts.back().epoch && one.until.has_value();
    });
    if (!ran) fail("job " + std::to_string(Raw(id)) + " passed and never ran");
  }
}

}  // namespace furrow::sim
