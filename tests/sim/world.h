// A whole farm on a virtual clock: the real reactors of a controller and its agents, a network that loses,
// doubles, delays and reorders their frames, a disk that forgets what was not committed, and a runner, data
// threads and a client that stand in for the real ones. Everything follows from one seed; the same seed
// gives the same trace.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "agent/outbox.h"
#include "agent/state.h"
#include "controller/outbox.h"
#include "controller/state.h"
#include "tests/sim/disk.h"

namespace furrow::sim {

// How bad the weather is, each a probability of an event.
struct Weather {
  double loss = 0.05;  // of a frame
  double doubled = 0.05;
  double slow = 0.1;            // a frame that takes up to 3 s instead of up to 5 ms
  double controller_crash = 0;  // each second
  double agent_crash = 0;       // each second and agent
  double agent_stop = 0;        // each second and agent: SIGSTOP for up to two leases
  double runner_crash = 0;      // each second and agent
  double partition = 0;         // each second and agent: its link is dead for up to 60 s
  double machine_lost = 0;      // each second and agent: comes back without its state folder
};

// One execution of a job's steps as it really happened.
struct Execution {
  AttemptRef attempt;
  std::string agent;
  Duration from{};
  std::optional<Duration> until;
};

class World {
 public:
  World(std::uint64_t seed, int agents, Weather weather);
  ~World();

  // Submits a pipeline from a client that repeats its request until it is answered.
  void Submit(Pipeline pipeline);
  void CancelNewest();

  // Lets time pass, with the weather as it is.
  void Pass(Duration span);
  // Calm weather, everything up: passes time until every accepted run has ended. False if that does not happen within
  // an hour.
  bool HealAndFinish();

  // Aborts where something that must always hold does not; tells the seed.
  void CheckLedger() const;

  const Disk& disk() const { return disk_; }
  const std::vector<Execution>& executions() const { return executions_; }
  std::uint64_t accepted() const { return acknowledged_.size(); }
  std::uint64_t trace() const { return trace_; }  // a hash of everything that was delivered, in order

 private:
  struct Node;  // an agent: its process, runner and data threads
  struct Controller;

  void At(Duration delay, std::function<void()> what);
  void Step();
  double Chance() { return std::uniform_real_distribution<>(0, 1)(random_); }
  Duration Between(Duration low, Duration high);
  Now Clock() const { return {TimePoint{time_}, WallTime{1700000000000 + time_.count() / 1000000}}; }

  void StartController();
  void ControllerTurn();
  void HandOver();
  void Release(const Outbox& out);
  void TickController();
  void ToController(Node& node, const AgentMessage& message);
  void ToAgentNode(PeerId peer, const ToAgent& message);
  void Carry(Node& node, std::function<void()> deliver);

  void StartAgent(Node& node);
  void KillAgent(Node& node);
  void AgentTurn(Node& node, const std::function<void(AgentState&, AgentOutbox&)>& event);
  void TickAgent(Node& node);
  void RunnerRequest(Node& node, const runner::Request& request);
  void TellAgent(Node& node, runner::Event event);
  void EndProcess(Node& node, AttemptRef attempt, runner::OutcomeKind kind, int code);
  void KillRunner(Node& node);
  void Upload(Node& node, const UploadCommand& command);
  void Seal(Node& node, AttemptRef attempt, std::uint64_t life);
  void CheckLease(Node& node);
  void Accidents();
  void Describe() const;
  void Ask(std::uint64_t number);
  void TakeAnswer(const ClientSend& send);

  const std::uint64_t seed_;
  std::mt19937_64 random_;
  Weather weather_;
  Duration time_{std::chrono::seconds(1)};
  struct Event {
    Duration at;
    std::uint64_t order;
    std::function<void()> what;
    bool operator<(const Event& other) const { return std::tie(other.at, other.order) < std::tie(at, order); }
  };
  std::priority_queue<Event> events_;
  std::uint64_t ordered_ = 0;
  std::uint64_t trace_ = 14695981039346656037ULL;

  Disk disk_;
  std::unique_ptr<Controller> controller_;  // null while it is down
  std::uint64_t controller_life_ = 0;
  std::vector<std::unique_ptr<Node>> nodes_;
  PeerId last_peer_ = 0;
  std::vector<Execution> executions_;
  std::map<std::uint64_t, ClientRequest> unanswered_;
  std::map<std::uint64_t, Pipeline> pipelines_;  // of the requests
  std::map<Uuid, RunId> acknowledged_;
  std::uint64_t requests_ = 0;
};

}  // namespace furrow::sim
