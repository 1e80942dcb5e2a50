@0x8cd5ca67bba2f63b;
# Defines the messages of a client (CLI, git hook) and the controller on the control channel. The client chooses a
# request's number; the answer, and each update of a Watch, carries the same number.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("furrow::wire");

using import "annotations.capnp".arm;
using import "annotations.capnp".attempt;
using import "annotations.capnp".check;
using import "annotations.capnp".cxx;
using import "annotations.capnp".frame;
using import "annotations.capnp".hash;
using import "annotations.capnp".id;
using import "annotations.capnp".initial;
using import "annotations.capnp".json;
using import "annotations.capnp".key;
using import "annotations.capnp".keyed;
using import "annotations.capnp".map;
using import "annotations.capnp".max;
using import "annotations.capnp".maybe;
using import "annotations.capnp".message;
using import "annotations.capnp".millis;
using import "annotations.capnp".min;
using import "annotations.capnp".noun;
using import "annotations.capnp".optional;
using import "annotations.capnp".thousandths;
using import "annotations.capnp".time;
using import "annotations.capnp".uuid;
using import "annotations.capnp".variant;

using import "agent.capnp".ErrorCode;
using import "agent.capnp".Metric;
using import "agent.capnp".Offer;
using import "agent.capnp".Outcome;
using import "pipeline.capnp".Diagnostic;
using import "pipeline.capnp".EnvVar;
using import "pipeline.capnp".SourceInfo;
using import "enrol.capnp".KeyRole;
using Agent = import "agent.capnp";
using Enrol = import "enrol.capnp";
using Pipeline = import "pipeline.capnp";

const maxRunsListed :UInt64 = 1000;
const maxJobsShown :UInt64 = 10000;
# Jobs in one answer.
const maxAgentsListed :UInt64 = 10000;
const maxListedReasons :UInt64 = 1000;
const maxPoints :UInt64 = 10000;
# Points of one series.
const longMessage :UInt64 = 65536;
# Bytes of a message that may be long.

# ---- names and views ----

struct Selector {
  # A Selector names a run, a job or a shard: "fashion#42", "fashion#42/test", "fashion#42/test/3".
  pipeline @0 :Text $min(1);
  number @1 :UInt64;
  # Number of the run. 0: the newest run of the pipeline.
  job @2 :Text;
  # Absent: the whole run.
  shard :union $maybe {
    all @3 :Void;
    index @4 :UInt32;
  }
  # From 0; only with a job. Absent: every shard.
  project @5 :Text;
  # Absent: the project "default".
}

enum JobState {
  blocked @0;
  # The job needs jobs that have not passed yet.
  ready @1;
  # The job waits for an agent.
  assigned @2;
  # An agent has the job, or the controller is sending it the Assign.
  running @3;
  # The job's first process runs.
  passed @4;
  failed @5;
  cancelled @6;
  skipped @7;
  # A job that this job needs did not pass.
}

enum RunState {
  running @0;
  passed @1;
  failed @2;
  cancelled @3;
}

struct RunSummary $json {
  id @0 :UInt64 $id("RunId") $key("");
  pipeline @1 :Text;
  number @2 :UInt64;
  # pipeline#number is the run's name.
  state @3 :RunState;
  source @4 :SourceInfo;
  submittedMs @5 :Int64 $time;
  endedMs @6 :Int64 $time;
  # 0: not yet.
  jobs :group $cxx("JobCounts") {
    # Counts each shard as one job.
    total @7 :UInt32;
    passed @8 :UInt32;
    failed @9 :UInt32;
    running @10 :UInt32;
    # Shards that are assigned or running.
  }
  note @11 :Text $message;
  # One line that says why the run failed or was cancelled. Absent: nothing to add.
  stuck @12 :Text $message;
  # One line that says what the run waits for and cannot get: none of its jobs is on an agent, and no known agent could
  # ever take one of those that are ready. Absent: the run goes on, or has ended.
}

struct JobView $json {
  id @0 :UInt64 $id("JobId") $key("");
  job @1 :Text;
  shard @2 :UInt32;
  # From 0.
  shardCount @3 :UInt32 $initial("1") $key("shards");
  # At least 1.
  state @4 :JobState;
  epoch @5 :UInt64 $id("Epoch") $key("attempt");
  # 0: never assigned.
  agent @6 :Text;
  # Agent of the newest attempt. Absent: never assigned.
  gpuUuids @7 :List(Text) $max(Agent.maxGpus) $key("gpus");
  readyMs @8 :Int64 $time;
  # Time when the job's needs were met. 0: not yet.
  startedMs @9 :Int64 $time;
  endedMs @10 :Int64 $time;
  outcome @11 :Outcome $optional;
  # Outcome of the newest attempt that ended. Absent: none has.
  logRun @17 :UInt64 $id("RunId") $key("");
  logAttempt :group $attempt $key("") {
    job @18 :UInt64;
    epoch @19 :UInt64;
  }
  # Says where the job's log is read, see LogRead in bulk.capnp. Epoch 0: there is no log yet.
  logLength @12 :UInt64 $key("log_bytes");
  # Bytes; 0 until the log is sealed.
  artifacts @13 :Data $hash;
  # Name of a tree. Absent: none.
  needs @14 :List(Text) $max(Pipeline.maxListed);
  waitsFor @15 :Text $message;
  # One line. Absent unless the job is blocked or ready.
  metrics @16 :List(Metric) $keyed $max(Agent.maxJobMetrics);
  # Newest value of each metric.
  step @20 :UInt32;
  # Number, from 1, of the step that ended the attempt of `outcome`. 0: it passed, or no step had begun.
  stepName @21 :Text $message;
  # What the pipeline file calls that step, or what the step does. Absent with `step`.
}

struct AgentJob $json {
  job @0 :Text;
  # "fashion#42/test/3".
  sinceMs @1 :Int64 $time;
  gpuUuids @2 :List(Text) $max(Agent.maxGpus) $key("gpus");
}

struct Drain $json {
  # A Drain says why and for how long an agent gets no new jobs.
  by @0 :Text;
  # Client that asked for the drain. Absent: an older controller did not record the client.
  sinceMs @1 :Int64 $time;
  untilMs @2 :Int64 $time;
  # Time from which the agent gets jobs again by itself. 0: it gets none until it is resumed.
  reason @3 :Text;
  # For people; may be absent.
}

struct AgentView $json {
  name @0 :Text;
  host @1 :Text;
  software @2 :Text;
  connected @3 :Bool;
  lastSeenMs @4 :Int64 $time;
  offer @5 :Offer $key("*");
  # Absent: the agent offers nothing.
  cpuMilliUsed @6 :UInt32 $thousandths $key("cpus_used");
  jobs @7 :List(AgentJob) $max(100000);
  note @8 :Text $message;
  # One line that says what is wrong with the agent. Absent: nothing.
  drained @9 :Bool;
  # true: the agent gets no new jobs.
  drain @10 :Drain $optional;
  # Absent unless the agent is drained.
}

struct EnrolmentUse {
  name @0 :Text;
  # Name of the agent that was let in.
  fingerprint @1 :Text;
  # Fingerprint of the agent's key.
  atMs @2 :Int64 $time;
}

struct EnrolmentView {
  id @0 :UInt64 $id("EnrolmentId");
  labels @1 :List(Text) $max(Enrol.maxEnrolmentLabels);
  # Labels that the enrolment gives to its agents.
  uses @2 :UInt32;
  # Number of agents that the enrolment lets in.
  used @3 :List(EnrolmentUse) $max(Enrol.maxEnrolmentUses);
  madeMs @4 :Int64 $time;
  expiresMs @5 :Int64 $time;
  revokedMs @6 :Int64 $time;
  # 0: not revoked.
}

struct KeyView {
  role @0 :KeyRole $initial("KeyRole::kClient");
  name @1 :Text;
  fingerprint @2 :Text;
  # "3f2a-9c01-77de"
  publicKey @3 :Text;
  # 40 characters of Z85.
  sinceMs @4 :Int64 $time;
  # Time when the controller first saw the key on its allowlist.
  enrolment @5 :UInt64 $id("EnrolmentId");
  # Enrolment that let the key in. 0: a person added the key.
  connected @6 :Bool;
  # Agents only.
  lastSeenMs @7 :Int64 $time;
  # 0: never, or (clients) not since the controller started.
}

struct LastPush $json {
  # A LastPush is the newest push of a repository that the farm was told of or found.
  ref @0 :Text $max(Pipeline.maxAddressBytes);
  # "refs/heads/main".
  commit @1 :Text;
  # Full hex; zeros: the ref was deleted.
  atMs @2 :Int64 $time;
  run @3 :Text $key("run");
  # "fashion#42". Absent: it started none, or has not yet.
  note @4 :Text $message;
  # One line that says why it started nothing, or what its author should know. Absent: nothing to say.
}

struct RepositoryView $json {
  # A RepositoryView is a repository that is watched for pushes.
  repository @0 :Text $max(Pipeline.maxAddressBytes) $key("path");
  # Absolute path or address.
  branches @1 :UInt32;
  # Branches that the last look found.
  hooked @2 :Bool;
  # true: the last look found the farm's hook.
  lookedMs @3 :Int64 $time;
  # Time of the last look that could read the repository. 0: none since the controller started.
  nextLookMs @4 :Int64 $time;
  # Time of the next look. 0: there is none.
  lastPush @5 :LastPush $optional;
  # Absent: none is known.
  problem @6 :Text $message;
  # One line that says what is wrong with the repository, and the cure. Absent: nothing.
  pushesWaiting @7 :UInt32;
  # Pushes whose commits have yet to be taken.
}

# ---- requests ----

struct Submit {
  request :group $uuid {
    high @0 :UInt64;
    low @1 :UInt64;
  }
  # Random id that the client makes: the same id is the same submission, however often it is sent.
  file @2 :Text $max(Pipeline.maxAddressBytes);
  # Name of the pipeline file, for diagnostics.
  text @3 :Data $max(Pipeline.maxPipelineBytes);
  # The file's bytes, unchanged.
  defaultName @4 :Text;
  # Name of the pipeline, if the file gives none.
  overrides @5 :List(EnvVar) $map $max(Pipeline.maxListed);
  # Variables of --set.
  source @6 :Data $hash;
  # Name of a tree that the controller has. Absent: an empty workspace.
  info @7 :SourceInfo;
}

struct Trigger {
  # Reports a push; the hook sends it.
  request :group $uuid {
    high @0 :UInt64;
    low @1 :UInt64;
  }
  # Id as in Submit.
  repository @2 :Text $max(Pipeline.maxAddressBytes);
  # Absolute path or address.
  ref @3 :Text $max(Pipeline.maxAddressBytes);
  # "refs/heads/main".
  oldCommit @4 :Text;
  # Full hex; zeros: the ref is new.
  newCommit @5 :Text;
  # Full hex; zeros: the ref was deleted.
}

struct WatchRepository {
  # Makes the controller find pushes by a look at the repository's refs, too. The answer comes after such a look: done,
  # or failure if the controller cannot read the repository; it tries again at every later look.
  repository @0 :Text $max(Pipeline.maxAddressBytes);
}

struct Cancel {
  what @0 :Selector;
  reason @1 :Text $message;
}

struct Retry {
  # Makes a new run of the same sources and pipeline.
  request :group $uuid {
    high @0 :UInt64;
    low @1 :UInt64;
  }
  # Id as in Submit.
  run @2 :Selector;
  failedOnly @3 :Bool;
  # true: jobs that passed are taken over with their artifacts.
}

struct ListRuns {
  pipeline @0 :Text;
  # Absent: all pipelines.
  limit @1 :UInt32 $min(1) $max(.maxRunsListed) $initial("20");
  before @2 :UInt64 $id("RunId");
  # Lists runs older than this one. 0: from the newest on.
}

struct ShowRun {
  what @0 :Selector;
  # A job and shard restrict the answer to them.
  first @1 :UInt32;
  # Index of the first job among those that match, from 0.
  limit @2 :UInt32 $min(1) $max(.maxJobsShown) $initial("1000");
}

struct Watch {
  # RunUpdates answer: the first holds everything, then one follows per change, the last with runEnded.
  run @0 :Selector;
}

struct Why {
  what @0 :Selector;
}

struct GetMetrics {
  what @0 :Selector;
  name @1 :Text $max(Agent.maxMetricNameBytes);
  # Absent: all metrics.
}

struct NewEnrolment $check {
  id @0 :UInt64 $id("EnrolmentId") $min(1) $max(4294967295);
  # Random id that the client makes. The same id with the same verifyKey is the same enrolment.
  verifyKey @1 :Data $hash;
  # Ed25519 public key, 32 bytes, whose seed is the line's secret; see common/enrol/proof.h.
  labels @2 :List(Text) $max(Enrol.maxEnrolmentLabels);
  uses @3 :UInt32 $min(1) $max(Enrol.maxEnrolmentUses) $initial("1");
  validMs @4 :Int64 $millis $min(1) $max(31536000000) $initial("std::chrono::hours(1)");
  # Time for which the line may be used; at most 365 days.
}

struct RevokeEnrolment {
  id @0 :UInt64 $id("EnrolmentId");
}

struct DrainAgent {
  # A drained agent keeps its jobs and gets no new ones, until it is resumed.
  agent @0 :Text;
  # Name of the agent.
  drained @1 :Bool $initial("true");
  # false: the agent gets jobs again.
  durationMs @2 :Int64 $millis $max(31536000000);
  # Time for which the agent stays drained, by the controller's clock; at most 365 days. 0: until it is resumed.
  reason @3 :Text;
}

struct Request $variant("ClientRequest") $noun("request") $frame(4194304) {
  number @0 :UInt64;
  # Chosen by the client, not 0; every answer carries it.
  union {
    none @1 :Void;
    # Never sent: a reader sees this member in an empty message, and refuses the message.
    submit @2 :Submit;
    trigger @3 :Trigger;
    watchRepository @4 :WatchRepository;
    cancel @5 :Cancel;
    retry @6 :Retry;
    listRuns @7 :ListRuns;
    showRun @8 :ShowRun;
    watch @9 :Watch;
    listAgents :group $cxx("ListAgents") {
      everyField @10 :Void;
      after @20 :Text;
      # Lists agents whose names are behind this one. Absent: from the first on.
      limit @21 :UInt32 $max(.maxAgentsListed);
      # Most agents in the answer. 0: the answer has all of them, however large it is.
    }
    why @11 :Why;
    getMetrics @12 :GetMetrics;
    ping @13 :Void;
    newEnrolment @14 :NewEnrolment;
    listEnrolments @15 :Void;
    revokeEnrolment @16 :RevokeEnrolment;
    listKeys @17 :Void;
    revokeKey @18 :Text $arm("RevokeKey.what");
    # A name, or the start of a fingerprint.
    drainAgent @19 :DrainAgent;
    listRepositories @22 :Void;
    forgetRepository @23 :Text $min(1) $max(Pipeline.maxAddressBytes) $arm("ForgetRepository.repository");
    # Ends the watch of a repository. A later push of its hook begins it again.
  }
}

# ---- answers ----

struct Submitted $json {
  run @0 :UInt64 $id("RunId") $key("");
  # 0: the push starts nothing; note says why.
  name @1 :Text $key("run");
  # "fashion#42".
  repeated @2 :Bool;
  # true: the request was known already.
  note @3 :Text $message;
}

struct Failure {
  code @0 :ErrorCode $initial("Errc::kInternal");
  message @1 :Text $message $max(.longMessage);
  file @2 :Text $max(Pipeline.maxAddressBytes);
  # File that the diagnostics are about. Absent: none.
  diagnostics @3 :List(Diagnostic) $max(10000);
  # Every mistake of the file.
}

struct RunDetail {
  run @0 :RunSummary;
  matching @1 :UInt32;
  # Number of all jobs that match.
  jobs @2 :List(JobView) $max(.maxJobsShown);
}

struct RunUpdate {
  run @0 :RunSummary;
  jobs @1 :List(JobView) $max(.maxJobsShown);
  # Jobs that changed; in the first update all jobs.
  runEnded @2 :Bool;
  # true: no update follows.
}

struct WaitReason $json {
  job @0 :Text;
  # "fashion#42/test/3".
  reason @1 :Text $message;
  # Resource or job that the job lacks, in words.
  holders @2 :List(Text) $max(10000);
  # Those that hold what the job lacks.
  leftOut @3 :UInt32;
  # Number of further jobs that the question names and the answer leaves out. 0 in all reasons but the last.
}

struct MetricSeries $json $check {
  job @0 :Text;
  # "fashion#42/train".
  name @1 :Text $max(Agent.maxMetricNameBytes);
  steps @2 :List(Int64) $max(.maxPoints);
  # A longer series keeps the least and the greatest value of each stretch, and the last.
  values @3 :List(Float64) $max(.maxPoints);
  # There are as many values as steps.
  reported @4 :UInt64;
  # Number of values that the job reported. 0, from older controllers: not known.
}

struct Pong {
  software @0 :Text;
  agentsConnected @1 :UInt32;
  runsLive @2 :UInt32;
}

struct EnrolmentMade {
  enrolment @0 :EnrolmentView;
  host @1 :Text;
  # Host where machines reach the controller, as far as it knows. Absent: it knows none.
  advertised @2 :Bool;
  # true: `host` comes from the controller's configuration; false: it is a guess.
  port @3 :UInt16;
  # Port of the enrol endpoint.
}

struct Reply $variant("ClientReply") $noun("reply") $frame(16777216) {
  number @0 :UInt64;
  # Number of the request. 0: the request's number could not be read.
  union {
    none @1 :Void;
    # Never sent: a reader sees this member in an empty message, and refuses the message.
    submitted @2 :Submitted;
    done @3 :Text $message $max(.longMessage) $arm("Done.text");
    failure @4 :Failure;
    runList @5 :List(RunSummary) $max(.maxRunsListed) $arm("RunList.runs");
    # Newest first.
    runDetail @6 :RunDetail;
    runUpdate @7 :RunUpdate;
    agentList :group $cxx("AgentList") $json {
      agents @8 :List(AgentView) $max(.maxAgentsListed);
      # By name.
      more @15 :Bool $key("");
      # true: further agents are behind the last one.
    }
    waitReasons @9 :List(WaitReason) $max(.maxListedReasons) $arm("WaitReasons.reasons");
    metricsAnswer @10 :List(MetricSeries) $max(10000) $arm("MetricsAnswer.series");
    pong @11 :Pong;
    enrolmentMade @12 :EnrolmentMade;
    enrolmentList @13 :List(EnrolmentView) $max(10000) $arm("EnrolmentList.enrolments");
    # Newest first.
    keyList @14 :List(KeyView) $max(50000) $arm("KeyList.keys");
    repositoryList @16 :List(RepositoryView) $max(10000) $arm("RepositoryList.repositories");
    # By path. Further ones are left out.
  }
}
