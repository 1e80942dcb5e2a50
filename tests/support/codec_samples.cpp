#include "tests/support/codec_samples.h"

#include <memory>

namespace furrow::testing {
namespace {

constexpr AttemptRef kAttempt{JobId{1234567}, Epoch{3}};
constexpr SessionId kSession{77};
constexpr Uuid kUuid{0x0123456789abcdef, 0xfedcba9876543210};
constexpr WallTime kTime{1'700'000'000'123};
constexpr WallTime kLater{1'700'000'123'456};

const std::string kKey = "0123456789abcdefghijklmnopqrstuvwxyzABCD";
const std::vector<std::string> kGpus{"GPU-1b2c3d4e-0000", "MIG-9f8e7d6c-1111"};
const std::vector<Metric> kMetrics{{"accuracy", 0.8125}, {"loss", -1.5e-3}};

std::vector<HeldAttempt> Held() {
  return {{kAttempt, Phase::kRunning}, {AttemptRef{JobId{8}, Epoch{1}}, Phase::kReporting}};
}

Selector SampleSelector() {
  return {"fashion", 42, "test", 3};
}

RunSummary SampleRun() {
  return {.id = RunId{42},
          .pipeline = "fashion",
          .number = 17,
          .state = RunState::kFailed,
          .source = SampleSource(),
          .submitted = kTime,
          .ended = kLater,
          .jobs = {9, 4, 1, 2},
          .note = "test/3 failed: exit status 1"};
}

JobView SampleJob() {
  return {.id = JobId{1234567},
          .job = "test",
          .shard = 3,
          .shard_count = 8,
          .state = JobState::kFailed,
          .epoch = Epoch{3},
          .agent = "gpu-7",
          .gpu_uuids = kGpus,
          .ready = kTime,
          .started = kTime,
          .ended = kLater,
          .outcome = SampleOutcome(),
          .log_run = RunId{41},
          .log_attempt = kAttempt,
          .log_length = 123'456'789'012,
          .artifacts = SampleHash(7),
          .needs = {"build", "train"},
          .waits_for = "a GPU with 40 GiB",
          .metrics = kMetrics};
}

AgentView SampleAgent() {
  return {.name = "gpu-7",
          .host = "gpu-7.example",
          .software = "furrow-agent 0.1.0",
          .connected = true,
          .last_seen = kLater,
          .offer = SampleOffer(),
          .cpu_milli_used = 2500,
          .jobs = {{"fashion#42/test/3", kTime, kGpus}},
          .note = "another machine has its key",
          .drained = true};
}

EnrolmentView SampleEnrolment() {
  return {.id = EnrolmentId{0x1a2b3c4d},
          .labels = {"a100", "nvme"},
          .uses = 3,
          .used = {{"gpu-7", "3f2a-9c01-77de", kTime}},
          .made = kTime,
          .expires = kLater,
          .revoked = kLater};
}

LogRecord SampleLog() {
  return {123'456, SampleHash(1), {LogStorage::kPack, 3, 1ull << 33}};
}

AttemptRecord SampleAttempt() {
  return {.epoch = Epoch{2},
          .agent = "gpu-7",
          .gpu_uuids = {"GPU-1b2c3d4e-0000"},
          .started = kTime,
          .ended = kLater,
          .outcome = SampleOutcome(),
          .cpu_ms = 5000,
          .max_rss_bytes = 3ull << 30,
          .log = SampleLog(),
          .artifacts = SampleHash(2)};
}

JobRecord SampleJobRecord() {
  return {.id = JobId{1234567},
          .run = RunId{42},
          .state = JobState::kRunning,
          .epoch = Epoch{3},
          .agent = "gpu-7",
          .incarnation = kUuid,
          .gpu_uuids = {"GPU-1b2c3d4e-0000"},
          .cancelling = true,
          .ready = kTime,
          .assigned = kTime,
          .started = kLater,
          .retries = 2,
          .reused_run = RunId{41},
          .reused_job = JobId{1234},
          .attempts_inside = {SampleAttempt(), AttemptRecord{}},
          .metrics_inside = {{"accuracy", 0.8125}, {"loss", -1.5e-3}}};
}

}  // namespace

// ---- parts -----------------------------------------------------------------------------------------------------

Hash SampleHash(std::uint8_t first) {
  Hash hash;
  for (std::size_t i = 0; i < hash.bytes.size(); ++i) hash.bytes[i] = static_cast<std::uint8_t>(first + i * 7);
  return hash;
}

JobSpec SampleJobSpec() {
  JobSpec spec;
  spec.name = "test";
  spec.needs = {"build", "train"};
  spec.resources = {2500, 500, "h100", 40ull << 30, 64ull << 30};
  spec.labels = {"linux", "nvme"};
  spec.env = {{"EPOCHS", "20"}, {"NOTHING", ""}, {"GREETING", "grüß Gott"}};
  spec.timeout = std::chrono::milliseconds(3'600'000);
  spec.retry = {5, true, true, {75, 137}};
  spec.shards = 8;
  spec.allow_failure = true;
  spec.artifacts = {"out/model.pt", "reports/**"};
  spec.steps = {{"build", RunStep{"make -j2\nmake test"}},
                {"list", ExecStep{{"/bin/ls", "-l", ""}}},
                {"train", TorchStep{"train", R"({"epochs":20})"}},
                {"gate", CheckStep{{{"accuracy", Comparison::kGreaterEqual, 0.8}}}}};
  return spec;
}

Pipeline SamplePipeline() {
  JobSpec small;
  small.name = "build";
  small.steps = {{"true", ExecStep{{"/bin/true"}}}};
  return {"fashion", PushTrigger{{"main", "release/*"}, {"src/**"}}, {SampleJobSpec(), small}};
}

SourceInfo SampleSource() {
  return {.repository = "/srv/git/fashion.git",
          .ref = "refs/heads/main",
          .branch = "main",
          .commit = "0123456789abcdef0123456789abcdef01234567",
          .title = "Wider layers",
          .author = "Ada",
          .dirty = true};
}

Outcome SampleOutcome() {
  return {OutcomeKind::kSignaled, 9, 2, "killed by the kernel: out of memory"};
}

Offer SampleOffer() {
  return {64'000, 512ull << 30, {{"GPU-1b2c3d4e-0000", "NVIDIA H100 80GB HBM3", 80ull << 30}}, {"linux", "nvme"}};
}

std::vector<MetricLine> SampleMetricLines() {
  return {{7, kTime, kMetrics}, {-1, kLater, {{"done", 1}}}};
}

// ---- control: agents -------------------------------------------------------------------------------------------

std::vector<AgentMessage> SampleAgentMessages() {
  return {Register{.oldest_version = 1,
                   .newest_version = 2,
                   .software = "furrow-agent 0.1.0 (cdbc41d)",
                   .host = "gpu-7.example",
                   .incarnation = kUuid,
                   .nonce = 5,
                   .offer = SampleOffer(),
                   .held = Held(),
                   .machine = {11, 12},
                   .boot = {13, 14},
                   .process = {15, 16}},
          Heartbeat{kSession, 99, Held(), -2500, "its disk is nearly full"}, Started{kSession, kAttempt, kTime},
          MetricsReport{kSession, kAttempt, 100, SampleMetricLines()},
          Finished{.session = kSession,
                   .attempt = kAttempt,
                   .outcome = SampleOutcome(),
                   .started = kTime,
                   .ended = kLater,
                   .cpu_ms = 123'456,
                   .max_rss_bytes = 3ull << 30,
                   .log_length = 12,
                   .log_hash = SampleHash(1),
                   .small_log = std::string("hello\0world\n", 12),
                   .artifacts = SampleHash(2),
                   .metrics_first = 41,
                   .metrics = SampleMetricLines()}};
}

std::vector<ToAgent> SampleToAgent() {
  return {Welcome{kSession, 5, 1, 2000, 600'000, kTime},
          Refused{5, "speaks protocol 9 only; this controller speaks 1", 30'000},
          Reregister{kSession},
          HeartbeatAck{kSession, 99},
          Assign{.session = kSession,
                 .attempt = kAttempt,
                 .run = RunId{42},
                 .run_name = "fashion#42",
                 .shard = 3,
                 .spec = std::make_shared<const JobSpec>(SampleJobSpec()),
                 .gpu_uuids = kGpus,
                 .commit = "0123456789abcdef0123456789abcdef01234567",
                 .branch = "main",
                 .trees = {SampleHash(3), SampleHash(4)},
                 .metrics = kMetrics,
                 .log_quota_bytes = 1ull << 30},
          Kill{kSession, kAttempt, "cancelled by ada", true},
          FinishedAck{kSession, kAttempt},
          MetricsAck{kSession, kAttempt, 102}};
}

// ---- control: clients ------------------------------------------------------------------------------------------

std::vector<ClientRequest> SampleRequests() {
  return {Submit{.request = kUuid,
                 .file = "furrow.yaml",
                 .text = "jobs: {a: {run: 'echo \xff'}}",
                 .default_name = "fashion",
                 .overrides = {{"EPOCHS", "3"}},
                 .source = SampleHash(5),
                 .info = SampleSource()},
          Trigger{kUuid, "/srv/git/fashion.git", "refs/heads/main", std::string(40, '0'), std::string(40, 'a')},
          WatchRepository{"/srv/git/fashion.git"},
          Cancel{SampleSelector(), "wrong data"},
          Retry{kUuid, SampleSelector(), true},
          ListRuns{"fashion", 50, RunId{40}},
          ShowRun{SampleSelector(), 1000, 500},
          Watch{SampleSelector()},
          ListAgents{},
          Why{SampleSelector()},
          GetMetrics{SampleSelector(), "loss"},
          Ping{},
          NewEnrolment{.id = EnrolmentId{0x1a2b3c4d},
                       .verify_key = SampleHash(12),
                       .labels = {"a100"},
                       .uses = 40,
                       .valid = std::chrono::hours(1)},
          ListEnrolments{},
          RevokeEnrolment{EnrolmentId{0x1a2b3c4d}},
          ListKeys{},
          RevokeKey{"gpu-7"},
          DrainAgent{"gpu-7", true}};
}

std::vector<ClientReply> SampleReplies() {
  return {Submitted{RunId{42}, "fashion#17", true, "known already"},
          Done{"2 jobs are being cancelled"},
          Failure{Errc::kRejected, "furrow.yaml has 1 mistake", "furrow.yaml", {{12, 5, "unknown key \"stpes\""}}},
          RunList{{SampleRun(), SampleRun()}},
          RunDetail{SampleRun(), 9, {SampleJob()}},
          RunUpdate{SampleRun(), {SampleJob(), SampleJob()}, true},
          AgentList{{SampleAgent()}},
          WaitReasons{{{"fashion#42/test/3", "1 GPU", {"fashion#41/train", "fashion#40/train"}}}},
          MetricsAnswer{{{"fashion#42/train", "loss", {-1, 2, 300}, {0.5, 0.25, 1e-9}, 30000}}},
          Pong{"furrow-controller 0.1.0", 3, 2},
          EnrolmentMade{SampleEnrolment(), "farm.example", true, 7073},
          EnrolmentList{{SampleEnrolment()}},
          KeyList{{KeyView{.role = KeyRole::kAgent,
                           .name = "gpu-7",
                           .fingerprint = "3f2a-9c01-77de",
                           .public_key = kKey,
                           .since = kTime,
                           .enrolment = EnrolmentId{0x1a2b3c4d},
                           .connected = true,
                           .last_seen = kLater}}}};
}

// ---- enrol -----------------------------------------------------------------------------------------------------

std::vector<EnrolRequest> SampleEnrolRequests() {
  EnrolProve prove{.nonce = 7,
                   .enrolment = EnrolmentId{0x1a2b3c4d},
                   .name = "gpu-7",
                   .host = "gpu-7.example",
                   .challenge = SampleHash(13),
                   .proof = {}};
  for (std::size_t i = 0; i < prove.proof.size(); ++i) prove.proof[i] = static_cast<std::uint8_t>(3 * i + 1);
  return {Probe{5, "furrow-agent 0.1.0"}, EnrolBegin{6, 1, 2, "furrow-agent 0.1.0"}, prove};
}

std::vector<EnrolReply> SampleEnrolReplies() {
  return {ProbeAnswer{.nonce = 5,
                      .wall = kTime,
                      .software = "furrow-controller 0.1.0",
                      .oldest_version = 1,
                      .newest_version = 2,
                      .control_port = 7071,
                      .bulk_port = 7072,
                      .role = KeyRole::kAgent,
                      .name = "gpu-7"},
          EnrolChallenge{6, SampleHash(13)},
          Enrolled{.nonce = 7,
                   .name = "gpu-7",
                   .labels = {"a100", "nvme"},
                   .control_port = 7071,
                   .bulk_port = 7072,
                   .software = "furrow-controller 0.1.0"},
          EnrolRefused{7, EnrolRefusal::kExpired, "this line has expired"}};
}

// ---- bulk ------------------------------------------------------------------------------------------------------

std::vector<BulkRequest> SampleBulkRequests() {
  return {LogAppend{kAttempt, 1ull << 40, 1 << 20, std::string(300, '\x28')},
          LogOpen{kAttempt},
          LogSeal{kAttempt, 1ull << 41, SampleHash(6)},
          ChunkQuery{12, {SampleHash(7), SampleHash(8)}},
          ChunkPut{SampleHash(9), "a chunk"},
          TreePut{SampleHash(10), 5'000'000, 1 << 20, "part of a tree"},
          ChunkGet{SampleHash(11), true},
          LogRead{.request = 13,
                  .run = RunId{42},
                  .attempt = kAttempt,
                  .offset = 1000,
                  .tail_lines = 50,
                  .follow = true,
                  .credit = 1 << 20},
          LogMore{13, 65536}};
}

std::vector<BulkReply> SampleBulkReplies() {
  return {LogAck{kAttempt, 1ull << 40},
          LogSealed{kAttempt, "another hash"},
          ChunksMissing{12, {0, 8191}},
          ChunkStored{SampleHash(9), "its bytes have another hash"},
          TreeCommitted{SampleHash(10), "chunks are missing", {SampleHash(7)}},
          ChunkData{SampleHash(11), 5'000'000, 1 << 20, "part of a tree"},
          LogData{13, 1000, "a line\n", true},
          BulkError{.request = 13,
                    .attempt = kAttempt,
                    .hash = SampleHash(11),
                    .code = Errc::kNotFound,
                    .message = "no such log"}};
}

// ---- records -----------------------------------------------------------------------------------------------------

std::vector<Record> SampleRecords() {
  return {
      RunRecord{.id = RunId{42},
                .number = 17,
                .request = kUuid,
                .spec_inside = SamplePipeline(),
                .source = SampleHash(3),
                .info = SampleSource(),
                .submitted = kTime,
                .ended = kLater,
                .state = RunState::kCancelled,
                .note = "cancelled by ada",
                .first_job = JobId{1234560},
                .retry_of = RunId{40},
                .jobs_passed = 7,
                .jobs_failed = 2,
                .cancelling = true},
      SampleJobRecord(),
      MetricsRecord{kAttempt, 100, SampleMetricLines()},
      SealRecord{kAttempt, SampleLog()},
      AgentRecord{"gpu-7",
                  "gpu-7.example",
                  "furrow-agent 0.1.0",
                  kUuid,
                  SampleOffer(),
                  kLater,
                  {11, 12},
                  {13, 14},
                  true,
                  std::chrono::seconds(90)},
      TriggerRecord{kUuid, "/srv/git/fashion.git", "refs/heads/main", std::string(40, '0'), std::string(40, 'a')},
      RepositoryRecord{"/srv/git/fashion.git", {{"refs/heads/main", std::string(40, 'a')}, {"refs/tags/v1", ""}}, true},
      EnrolmentRecord{.id = EnrolmentId{0x1a2b3c4d},
                      .verify_key = SampleHash(4),
                      .labels = {"a100"},
                      .uses = 40,
                      .used = {{kKey, "gpu-7", kTime, true}},
                      .made = kTime,
                      .expires = kLater,
                      .revoked = kLater},
      KeyRecord{kKey, KeyRole::kAgent, "gpu-7", kTime, EnrolmentId{0x1a2b3c4d}}};
}

}  // namespace furrow::testing
