// What a client is shown: runs, jobs and agents.
#include "common/wire/codec_client.h"
#include "common/wire/codec.h"
#include "common/wire/codec_pipeline.h"
#include "common/wire/codec_wire.h"

namespace furrow::codec {
namespace {

constexpr std::size_t kMaxGpus = 1024;
constexpr std::size_t kMaxNeeds = 10'000;
constexpr std::size_t kMaxAgentJobs = 100'000;

static_assert(static_cast<int>(wire::JobState::SKIPPED) == static_cast<int>(JobState::kSkipped));
static_assert(static_cast<int>(wire::RunState::CANCELLED) == static_cast<int>(RunState::kCancelled));

}  // namespace

void Write(wire::RunSummary::Builder to, const RunSummary& run) {
  to.setId(Raw(run.id));
  to.setPipeline(TextOf(run.pipeline));
  to.setNumber(run.number);
  to.setState(WireEnum<wire::RunState>(run.state));
  Write(to.initSource(), run.source);
  to.setSubmittedMs(MsOf(run.submitted));
  to.setEndedMs(MsOf(run.ended));
  to.setJobsTotal(run.jobs_total);
  to.setJobsPassed(run.jobs_passed);
  to.setJobsFailed(run.jobs_failed);
  to.setJobsRunning(run.jobs_running);
  WriteWords(run.note, kWordsBytes, [&](auto text) { to.setNote(text); });
}

RunSummary Read(wire::RunSummary::Reader from) {
  return {.id = RunId{from.getId()},
          .pipeline = ReadText(from.getPipeline(), kNameBytes, "pipeline"),
          .number = from.getNumber(),
          .state = ReadEnum(from.getState(), RunState::kCancelled, "state of a run"),
          .source = Read(from.getSource()),
          .submitted = WallTime{from.getSubmittedMs()},
          .ended = WallTime{from.getEndedMs()},
          .jobs_total = from.getJobsTotal(),
          .jobs_passed = from.getJobsPassed(),
          .jobs_failed = from.getJobsFailed(),
          .jobs_running = from.getJobsRunning(),
          .note = ReadWords(from.getNote(), kWordsBytes, "note")};
}

void Write(wire::JobView::Builder to, const JobView& job) {
  to.setId(Raw(job.id));
  to.setJob(TextOf(job.job));
  to.setShard(job.shard);
  to.setShardCount(job.shard_count);
  to.setState(WireEnum<wire::JobState>(job.state));
  to.setEpoch(Raw(job.epoch));
  WriteText(job.agent, [&](auto text) { to.setAgent(text); });
  WriteTexts(job.gpu_uuids, [&](unsigned count) { return to.initGpuUuids(count); });
  to.setReadyMs(MsOf(job.ready));
  to.setStartedMs(MsOf(job.started));
  to.setEndedMs(MsOf(job.ended));
  if (job.outcome) Write(to.initOutcome(), *job.outcome);
  to.setLogRun(Raw(job.log_run));
  WriteAttempt(to.getLogAttempt(), job.log_attempt);
  to.setLogLength(job.log_length);
  WriteHash(job.artifacts, [&](auto hash) { to.setArtifacts(hash); });
  WriteTexts(job.needs, [&](unsigned count) { return to.initNeeds(count); });
  WriteWords(job.waits_for, kWordsBytes, [&](auto text) { to.setWaitsFor(text); });
  if (!job.metrics.empty()) Write(to.initMetrics(static_cast<unsigned>(job.metrics.size())), job.metrics);
}

JobView Read(wire::JobView::Reader from) {
  JobView job{.id = JobId{from.getId()},
              .job = ReadText(from.getJob(), kNameBytes, "job"),
              .shard = from.getShard(),
              .shard_count = from.getShardCount(),
              .state = ReadEnum(from.getState(), JobState::kSkipped, "state of a job"),
              .epoch = Epoch{from.getEpoch()},
              .agent = ReadText(from.getAgent(), kNameBytes, "agent"),
              .gpu_uuids = ReadTexts(from.getGpuUuids(), kMaxGpus, kNameBytes, "gpu uuids"),
              .ready = WallTime{from.getReadyMs()},
              .started = WallTime{from.getStartedMs()},
              .ended = WallTime{from.getEndedMs()},
              .outcome = std::nullopt,
              .log_run = RunId{from.getLogRun()},
              .log_attempt = ReadAttempt(from.getLogAttempt()),
              .log_length = from.getLogLength(),
              .artifacts = ReadHash(from.getArtifacts(), "artifacts"),
              .needs = ReadTexts(from.getNeeds(), kMaxNeeds, kNameBytes, "needs"),
              .waits_for = ReadWords(from.getWaitsFor(), kWordsBytes, "reason to wait"),
              .metrics = Read(from.getMetrics(), kMaxJobMetrics, "metrics")};
  if (from.hasOutcome()) job.outcome = Read(from.getOutcome());
  return job;
}

void Write(wire::AgentView::Builder to, const AgentView& agent) {
  to.setName(TextOf(agent.name));
  WriteText(agent.host, [&](auto text) { to.setHost(text); });
  WriteText(agent.software, [&](auto text) { to.setSoftware(text); });
  to.setConnected(agent.connected);
  to.setLastSeenMs(MsOf(agent.last_seen));
  Write(to.initOffer(), agent.offer);
  to.setCpuMilliUsed(agent.cpu_milli_used);
  WriteList(
      agent.jobs, [&](unsigned count) { return to.initJobs(count); },
      [](wire::AgentJob::Builder builder, const AgentJob& job) {
        builder.setJob(TextOf(job.job));
        builder.setSinceMs(MsOf(job.since));
        WriteTexts(job.gpu_uuids, [&](unsigned count) { return builder.initGpuUuids(count); });
      });
  WriteWords(agent.note, kWordsBytes, [&](auto text) { to.setNote(text); });
  to.setDrained(agent.drained);
}

AgentView Read(wire::AgentView::Reader from) {
  return {.name = ReadText(from.getName(), kNameBytes, "agent"),
          .host = ReadText(from.getHost(), kNameBytes, "host"),
          .software = ReadText(from.getSoftware(), kNameBytes, "software"),
          .connected = from.getConnected(),
          .last_seen = WallTime{from.getLastSeenMs()},
          .offer = Read(from.getOffer()),
          .cpu_milli_used = from.getCpuMilliUsed(),
          .jobs = ReadList<AgentJob>(from.getJobs(), kMaxAgentJobs, "jobs of an agent",
                                     [](wire::AgentJob::Reader job) {
                                       return AgentJob{ReadText(job.getJob(), kNameBytes, "job"),
                                                       WallTime{job.getSinceMs()},
                                                       ReadTexts(job.getGpuUuids(), kMaxGpus, kNameBytes, "gpu uuids")};
                                     }),
          .note = ReadWords(from.getNote(), kWordsBytes, "note"),
          .drained = from.getDrained()};
}

void Write(wire::EnrolmentView::Builder to, const EnrolmentView& enrolment) {
  to.setId(Raw(enrolment.id));
  WriteTexts(enrolment.labels, [&](unsigned count) { return to.initLabels(count); });
  to.setUses(enrolment.uses);
  WriteList(
      enrolment.used, [&](unsigned count) { return to.initUsed(count); },
      [](wire::EnrolmentUse::Builder builder, const EnrolmentUse& use) {
        builder.setName(TextOf(use.name));
        builder.setFingerprint(TextOf(use.fingerprint));
        builder.setAtMs(MsOf(use.at));
      });
  to.setMadeMs(MsOf(enrolment.made));
  to.setExpiresMs(MsOf(enrolment.expires));
  to.setRevokedMs(MsOf(enrolment.revoked));
}

EnrolmentView Read(wire::EnrolmentView::Reader from) {
  return {.id = EnrolmentId{from.getId()},
          .labels = ReadTexts(from.getLabels(), kMaxEnrolmentLabels, kNameBytes, "labels"),
          .uses = from.getUses(),
          .used = ReadList<EnrolmentUse>(
              from.getUsed(), kMaxEnrolmentUses, "uses of an enrolment",
              [](wire::EnrolmentUse::Reader use) {
                return EnrolmentUse{ReadText(use.getName(), kNameBytes, "name"),
                                    ReadText(use.getFingerprint(), kNameBytes, "fingerprint"), WallTime{use.getAtMs()}};
              }),
          .made = WallTime{from.getMadeMs()},
          .expires = WallTime{from.getExpiresMs()},
          .revoked = WallTime{from.getRevokedMs()}};
}

void Write(wire::KeyView::Builder to, const KeyView& key) {
  to.setRole(WireEnum<wire::KeyRole>(key.role));
  to.setName(TextOf(key.name));
  to.setFingerprint(TextOf(key.fingerprint));
  to.setPublicKey(TextOf(key.public_key));
  to.setSinceMs(MsOf(key.since));
  to.setEnrolment(Raw(key.enrolment));
  to.setConnected(key.connected);
  to.setLastSeenMs(MsOf(key.last_seen));
}

KeyView Read(wire::KeyView::Reader from) {
  return {.role = ReadEnum(from.getRole(), KeyRole::kClient, "role"),
          .name = ReadText(from.getName(), kNameBytes, "name"),
          .fingerprint = ReadText(from.getFingerprint(), kNameBytes, "fingerprint"),
          .public_key = ReadText(from.getPublicKey(), kNameBytes, "public key"),
          .since = WallTime{from.getSinceMs()},
          .enrolment = EnrolmentId{from.getEnrolment()},
          .connected = from.getConnected(),
          .last_seen = WallTime{from.getLastSeenMs()}};
}

}  // namespace furrow::codec
