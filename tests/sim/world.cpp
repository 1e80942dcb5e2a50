#include "tests/sim/world.h"

#include <algorithm>

#include "agent/reactor/reactor.h"
#include "common/base/check.h"
#include "controller/reactor/dispatcher.h"
#include "schemas/agent.h"
#include "tests/sim/node.h"

namespace furrow::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

}  // namespace

World::World(std::uint64_t seed, int agents, Weather weather, bool quick)
    : seed_(seed), random_(seed), weather_(weather), quick_(quick) {
  Write({{0, WallTime{}, {{"loss", 1}}}, {1, WallTime{}, {{"loss", 0.5}}}, {2, WallTime{}, {{"loss", 0.25}}}});
  StartController();
  for (int i = 0; i < agents; ++i) {
    nodes_.push_back(std::make_unique<Node>());
    Node& node = *nodes_.back();
    node.name = "agent-" + std::to_string(i + 1);
    node.incarnation = Uuid{seed, static_cast<std::uint64_t>(i) + 1};
    node.runner_holds = (seed + static_cast<std::uint64_t>(i)) % 4 != 0;
    StartAgent(node);
  }
  At(seconds(1), [this] { Accidents(); });
}

World::~World() = default;

// ---- time --------------------------------------------------------------------------------------------------

void World::At(Duration delay, std::function<void()> what) {
  events_.push({time_ + delay, ++ordered_, std::move(what)});
}

Duration World::Between(Duration low, Duration high) {
  return Duration{std::uniform_int_distribution<std::int64_t>(low.count(), high.count())(random_)};
}

void World::Step() {
  const Event event = events_.top();
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
  weather_ = Weather{};
  for (const Duration limit = time_ + std::chrono::hours(1); time_ < limit;) {
    Pass(seconds(1));
    if (!Settled()) continue;
    CheckEnd();
    return true;
  }
  Describe();
  return false;
}

// ---- accidents ---------------------------------------------------------------------------------------------

void World::Accidents() {
  if (controller_ && Happens(weather_.controller_crash)) KillController();
  if (Happens(weather_.disk_slow)) StallDisk(Between(milliseconds(100), seconds(20)));
  if (Happens(weather_.disk_full)) FillDisk(Between(seconds(1), seconds(60)));
  for (auto& one : nodes_) {
    Node& node = *one;
    if (Happens(weather_.runner_crash)) KillRunner(node);
    if (Happens(weather_.partition)) node.cut_until = time_ + Between(seconds(1), seconds(60));
    if (node.agent && Happens(weather_.agent_end)) {
      AgentTurn(node, [this, &node](AgentState& state, AgentOutbox& out) {
        if (!node.agent->turns.ending()) node.agent->turns.BeginEnd(state, out, Clock());
      });
    }
    if (node.agent && Happens(weather_.agent_stop)) node.stopped_until = time_ + Between(seconds(1), seconds(60));
    const bool lost = Happens(weather_.machine_lost);
    if (!node.agent || (!lost && !Happens(weather_.agent_crash))) continue;
    RestartAgent(node, seconds(50));
    if (lost) {
      KillRunner(node);
      node.table.clear();
      node.outputs.clear();
      node.files.clear();
      node.lease.reset();
      node.incarnation.high += 1000;
    }
  }
  At(seconds(1), [this] { Accidents(); });
}

// ---- network -------------------------------------------------------------------------------------------------

void World::Carry(Node& node, const std::function<void()>& deliver) {
  if (Happens(weather_.loss) || time_ < node.cut_until) return;
  const Duration delay =
      Happens(weather_.slow) ? Between(milliseconds(1), seconds(3)) : Between(milliseconds(0), milliseconds(5));
  At(delay, deliver);
  if (Happens(weather_.doubled)) At(delay + Between(milliseconds(0), seconds(20)), deliver);
}

void World::ToController(Node& node, const std::string& frame) {
  Carry(node, [this, peer = node.peer, name = node.name, frame] {
    if (!controller_) return;
    trace_ = (trace_ ^ std::hash<std::string>{}(frame)) * 1099511628211ULL;
    const Result<AgentMessage> decoded = DecodeAgentMessage(frame);
    FURROW_CHECK(decoded.has_value(), "what an agent encodes is decoded");
    (void)DispatchAgent(controller_->state, controller_->out, Clock(), {peer, name}, *decoded);
    ControllerTurn();
  });
}

void World::ToAgentNode(PeerId peer, const ToAgent& message) {
  for (auto& one : nodes_) {
    Node& node = *one;
    if (node.peer != peer) continue;
    Carry(node, [this, &node, life = node.life, frame = Encode(message).value()] {
      if (!node.agent || node.life != life) return;  // the connection went with the process
      trace_ = (trace_ ^ std::hash<std::string>{}(frame)) * 1099511628211ULL;
      AgentTurn(node, [=, this](AgentState& state, AgentOutbox& out) {
        const Status status = OnControllerFrame(state, out, Clock(), frame);
        FURROW_CHECK(status || status.error().code != Errc::kInvalid, "what a controller encodes is decoded");
      });
    });
  }
}

}  // namespace furrow::sim
