// A whole farm on a virtual clock: the real reactors of a controller and its agents, a network that loses,
// doubles, delays and reorders their frames, a disk that forgets what was not committed, and a runner, data
// threads, a git repository and clients that stand in for the real ones. Everything follows from one seed; the
// same seed gives the same trace. What must always hold is checked as it happens; a breach ends the program and
// says which seed.
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
#include <tuple>
#include <vector>

#include "agent/state/outbox.h"
#include "agent/state/state.h"
#include "controller/reactor/outbox.h"
#include "controller/state/state.h"
#include "tests/sim/disk.h"
#include "tests/sim/weather.h"

namespace furrow::sim {

// One execution of a job's steps as it really happened.
struct Execution {
  AttemptRef attempt;
  std::string agent;
  Duration from{};
  std::optional<Duration> until;
  bool succeeded = false;
};

class World {
 public:
  // With `quick` no job takes longer than 50 ms, for farms with very many.
  World(std::uint64_t seed, int agents, Weather weather, bool quick = false);
  ~World();

  // Submits a pipeline from a client that repeats its request until it is answered, then watches the run.
  void Submit(Pipeline pipeline);
  // Cancels the newest run, or a job of it.
  void CancelNewest(const std::string& job = "");
  // Moves a branch of the repository to a new commit; its hook tells the controller, if it can.
  void Push(const std::string& branch);

  // Sets what every job writes into its metrics file from now on; at first it is three lines.
  void Write(std::vector<MetricLine> metrics);

  // Lets the controller's disk make nothing durable for so long.
  void StallDisk(Duration span) { disk_stands_until_ = time_ + span; }
  // Lets the controller's disk be full for so long: commits wait for space, and new work is refused.
  void FillDisk(Duration span) {
    StallDisk(span);
    disk_full_until_ = time_ + span;
  }
  // Lets time pass, with the weather as it is.
  void Pass(Duration span);
  // Calm weather, everything up: passes time until every accepted run has ended and nothing is left of it anywhere.
  // False, with a description on standard error, if that does not happen within an hour.
  bool HealAndFinish();

  const Disk& disk() const { return disk_; }
  const std::vector<Execution>& executions() const { return executions_; }
  std::uint64_t accepted() const { return acknowledged_.size(); }
  std::uint64_t trace() const { return trace_; }  // a hash of everything that was delivered, in order

 private:
  struct Node;      // a machine: an agent's process, its runner, its disk
  class AgentPort;  // what an agent's loop reaches
  struct Controller;
  struct Watching {  // a client that follows a run
    RunId run{};
    std::uint64_t number = 0;  // of its newest request
    std::map<JobId, JobView> seen;
    bool ended = false;
  };

  // ---- world.cpp: time, accidents, the network ----
  void At(Duration delay, std::function<void()> what);
  void Step();
  bool Happens(double probability) { return std::uniform_real_distribution<>(0, 1)(random_) < probability; }
  Duration Between(Duration low, Duration high);
  Now Clock() const { return {TimePoint{time_}, WallTime{1700000000000 + time_.count() / 1000000}}; }
  void Accidents();
  void Carry(Node& node, const std::function<void()>& deliver);
  void ToController(Node& node, const std::string& frame);
  void ToAgentNode(PeerId peer, const ToAgent& message);

  // ---- controller.cpp ----
  void StartController();
  void KillController();
  void ControllerTurn();
  void TickController();
  void LookAtDisk();
  void HandOver();
  void BeginCommit();
  void Commit();
  void Release(const Outbox& out, bool dies_midway);
  void TellSealed(AttemptRef attempt);

  // ---- node.cpp: an agent's process and its runner ----
  void StartAgent(Node& node);
  void KillAgent(Node& node);
  void AgentTurn(Node& node, const std::function<void(AgentState&, AgentOutbox&)>& event);
  void Wake(Node& node);
  void TickAgent(Node& node);
  void RunnerRequest(Node& node, const runner::Request& request);
  void OnStart(Node& node, const runner::Start& start);
  void StartProcess(Node& node, const runner::Start& start);
  void TellAgent(Node& node, runner::Event event);
  void EndProcess(Node& node, AttemptRef attempt, const runner::Outcome& outcome);
  void EndAll(Node& node, const runner::Outcome& outcome);
  void KillRunner(Node& node);
  void RestartAgent(Node& node, Duration longest);
  void OnLease(Node& node, TimePoint until);
  void ConnectRunner(Node& node, AgentOutbox& out);
  void LoseRunner(Node& node);
  void ShutDownRunner(Node& node);

  // ---- data_threads.cpp: an agent's workspace and uploader ----
  void Prepared(Node& node, const WorkspaceCommand& command);
  void Upload(Node& node, const UploadCommand& command);
  void FinishLogOf(Node& node, const FinishLog& finish);
  void Seal(Node& node, AttemptRef attempt, std::uint64_t life);
  void EmptySlot(Node& node, const std::string& path, AttemptRef by);
  void TellUpload(Node& node, Duration delay, UploadEvent event);
  void TellMetrics(Node& node, AttemptRef attempt);

  // ---- clients.cpp: clients and the git repository ----
  void Ask(std::uint64_t number);
  void Deliver(std::uint64_t number, const ClientRequest& request);
  void PrepareFileOf(const PrepareSubmission& submission);
  void TakeAnswer(const ClientSend& send);
  void WatchRun(RunId run);
  void TakeUpdate(Watching& watching, const RunUpdate& update);
  void AnswerFromHistory(const HistoryQuery& query);
  void Git(const RepositoryCommand& command);

  // ---- ledger.cpp: what must hold ----
  [[noreturn]] void Breach(const std::string& what) const;
  void CheckTurn(const Turn& turn) const;  // as it is committed
  void CheckInputs(const Assign& assign) const;
  void CheckSend(const AgentSend& send) const;             // as it is released
  void CheckStart(AttemptRef attempt) const;               // as its process starts
  const Execution* ExecutionOf(AttemptRef attempt) const;  // null: it never ran
  void CheckDevices(const Node& node, AttemptRef attempt) const;
  void CheckEnd() const;  // when all is settled
  void CheckPushes() const;
  bool Settled() const;
  void Describe() const;

  const std::uint64_t seed_;
  std::mt19937_64 random_;
  Weather weather_;
  const bool quick_;
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
  Duration disk_stands_until_{};
  Duration disk_full_until_{};
  std::unique_ptr<Controller> controller_;  // null while it is down
  std::uint64_t controller_life_ = 0;
  std::vector<std::unique_ptr<Node>> nodes_;
  PeerId last_peer_ = 0;
  std::vector<Execution> executions_;
  std::map<JobId, std::vector<std::size_t>> executions_of_;  // → indexes into executions_
  std::vector<MetricLine> metrics_;                          // what every job writes
  std::vector<Metric> newest_metrics_;                       // of them
  std::uint64_t unchecked_ = 0;  // turns of the controller since its invariants were checked

  std::map<std::uint64_t, ClientRequest> unanswered_;
  std::map<std::uint64_t, Pipeline> pipelines_;  // of the submissions
  std::map<Uuid, RunId> acknowledged_;
  std::map<RunId, Watching> watching_;
  std::uint64_t requests_ = 0;

  struct Pushed {
    std::string ref;
    std::string commit;
    bool noticed = false;  // if it is the last of its branch it must start a run: it came after the first look
    bool told = false;     // it must start a run: its hook was answered
  };
  std::map<std::string, std::string> refs_;  // of the repository: ref → commit
  std::vector<Pushed> pushed_;               // in order
};

}  // namespace furrow::sim
