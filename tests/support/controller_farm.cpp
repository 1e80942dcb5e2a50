#include "tests/support/controller_farm.h"

#include <functional>

#include "controller/parse/prepare.h"
#include "controller/reactor/pipelines.h"

namespace furrow::testing {

Offer Cpus(std::uint32_t count) {
  Offer offer;
  offer.cpu_milli = count * 1000;
  offer.memory_bytes = 8ull << 30;
  return offer;
}

JobSpec MakeJob(const std::string& name, std::vector<std::string> needs, std::uint32_t shards) {
  JobSpec job;
  job.name = name;
  job.needs = std::move(needs);
  job.shards = shards;
  job.steps = {{"step", ExecStep{{"/bin/true"}}}};
  return job;
}

Pipeline MakePipeline(std::vector<JobSpec> jobs) {
  return {"fashion", std::nullopt, std::move(jobs)};
}

Uuid Machine(const std::string& name) {
  return {std::hash<std::string>{}(name), 1};
}

ControllerFarm::ControllerFarm() {
  state.software = "furrow-controller test";
  state.boot = 1;
}

ControllerFarm::~ControllerFarm() {
  state.CheckInvariants();
}

void ControllerFarm::Pass(Duration span) {
  now.mono = now.mono + span;
  now.wall = WallTime{static_cast<std::int64_t>(now.wall) + span / milliseconds(1)};
}

Register ControllerFarm::Registration(const std::string& name, Offer offer, std::vector<HeldAttempt> held) const {
  Register message;
  message.oldest_version = message.newest_version = 1;
  message.software = "furrow-agent test";
  message.host = name + ".example";
  message.incarnation = Machine(name);
  message.nonce = 7;
  message.offer = std::move(offer);
  message.held = std::move(held);
  return message;
}

PeerId ControllerFarm::Connect(const std::string& name, Offer offer) {
  const PeerId peer = ++last_peer_;
  On(state, out, now, {peer, name}, Registration(name, std::move(offer)));
  out.Stored<AgentRecord>();
  out.ToAgent<Welcome>(peer);
  CHECK(out.empty());
  return peer;
}

Run& ControllerFarm::Accept(Pipeline pipeline) {
  Run& run = AcceptAs(Uuid{1, ++requests_}, std::move(pipeline));
  out.Stored<RunRecord>();
  out.Events();
  return run;
}

Run& ControllerFarm::AcceptAs(Uuid request, Pipeline pipeline, const Hash& source) {
  const SharedSpec spec = ShareSpec(std::move(pipeline));
  const PipelineId id = PipelineAt(state, out, now, {spec.pipeline->name, {}, ""}).id;
  Run& run = AcceptRun(state, out, now, {.request = request, .pipeline = id, .spec = spec, .source = source});
  StartRun(state, now, run);
  return run;
}

void ControllerFarm::PrepareFiles() {
  for (const PrepareSubmission& submission : std::exchange(out->submissions, {}))
    On(state, out, now, PrepareFileOf(submission));
}

void ControllerFarm::Submit(const Asker& asker, const furrow::Submit& request) {
  On(state, out, now, asker, request);
  PrepareFiles();
}

RetryFound ControllerFarm::Found(const Asker& asker, const Retry& request, const Run& run) const {
  RetryFound found{asker, request, run.record, {run.record.spec, run.pipeline}, {}, {}};
  for (const Job& job : run.jobs) {
    if (job.state == JobState::kBlocked) continue;
    found.jobs.push_back(job.record());
    found.attempts.insert(found.attempts.end(), job.attempts.begin(), job.attempts.end());
  }
  return found;
}

Job& ControllerFarm::JobOf(Run& run, const std::string& name, std::uint32_t shard) {
  for (JobGroup& group : run.groups)
    if (group.spec->name == name) return run.jobs[group.first + shard];
  FAIL("no such job: " << name);
  return run.jobs.front();
}

void ControllerFarm::Plan() {
  EndTurn(state, out, now);
  out.Clear();
  state.CheckInvariants();
}

Finished ControllerFarm::Report(const Job& job, std::int32_t code) const {
  Finished message;
  message.session = Session(job.agent);
  message.attempt = job.attempt();
  message.outcome.code = code;
  message.started = WallTime{static_cast<std::int64_t>(now.wall) - 1000};
  message.ended = now.wall;
  message.log_hash = HashOf("");
  return message;
}

Status ControllerFarm::Tell(const std::string& agent, const Finished& message) {
  return On(state, out, now, {Peer(agent), agent}, message);
}

void ControllerFarm::Finish(Job& job, std::int32_t code, std::vector<Metric> metrics, Hash artifacts) {
  Finished message = Report(job, code);
  message.artifacts = artifacts;
  if (!metrics.empty()) message.metrics.push_back({0, now.wall, std::move(metrics)});
  REQUIRE(Tell(job.agent, message).has_value());
  out.Clear();
  state.CheckInvariants();
}

void ControllerFarm::End(Job& job, OutcomeKind kind, std::int32_t code) {
  Finished message = Report(job, code);
  message.outcome.kind = kind;
  REQUIRE(Tell(job.agent, message).has_value());
  out.Clear();
  state.CheckInvariants();
}

void ControllerFarm::SendHeartbeat(const std::string& agent, std::vector<HeldAttempt> held) {
  Heartbeat message{Session(agent), ++heartbeats_, std::move(held)};
  CHECK(On(state, out, now, {Peer(agent), agent}, message).has_value());
  CHECK(out.ToAgent<HeartbeatAck>(Peer(agent)).sequence == heartbeats_);
}

}  // namespace furrow::testing
