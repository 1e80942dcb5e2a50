@0x8cd5ca67bba2f63b;
# Control channel between a client (CLI, git hook) and the controller: common/wire/messages_client.h on the wire.
# One frame is one Request or one Reply, of at most 16 MiB. Times of day as in agent.capnp.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("furrow::wire");

using import "agent.capnp".ErrorCode;
using import "agent.capnp".Metric;
using import "agent.capnp".Offer;
using import "agent.capnp".Outcome;
using import "pipeline.capnp".EnvVar;
using import "pipeline.capnp".SourceInfo;
using import "enrol.capnp".KeyRole;

# ---- names and views ----

struct Selector {
  pipeline @0 :Text;
  # Not empty.
  number @1 :UInt64;
  # Of the run. 0: the newest run of the pipeline.
  job @2 :Text;
  # Absent: the whole run.
  shard :union {
    all @3 :Void;
    index @4 :UInt32;
    # From 0; only with a job.
  }
}

enum JobState {
  blocked @0;
  ready @1;
  assigned @2;
  running @3;
  passed @4;
  failed @5;
  cancelled @6;
  skipped @7;
}

enum RunState {
  running @0;
  passed @1;
  failed @2;
  cancelled @3;
}

struct RunSummary {
  id @0 :UInt64;
  pipeline @1 :Text;
  number @2 :UInt64;
  # pipeline#number is the run's name.
  state @3 :RunState;
  source @4 :SourceInfo;
  # Absent: nothing is known of it.
  submittedMs @5 :Int64;
  endedMs @6 :Int64;
  # 0: not yet.
  jobsTotal @7 :UInt32;
  # Shards, counted one by one, here and below.
  jobsPassed @8 :UInt32;
  jobsFailed @9 :UInt32;
  jobsRunning @10 :UInt32;
  # Assigned or running.
  note @11 :Text;
  # Why it failed or was cancelled, one line; at most 4 KiB. Absent: nothing to add.
}

struct JobView {
  id @0 :UInt64;
  job @1 :Text;
  shard @2 :UInt32;
  # From 0.
  shardCount @3 :UInt32;
  # At least 1.
  state @4 :JobState;
  epoch @5 :UInt64;
  # 0: never assigned.
  agent @6 :Text;
  # Of the newest attempt. Absent: never assigned.
  gpuUuids @7 :List(Text);
  readyMs @8 :Int64;
  # When its needs were met. 0: not yet.
  startedMs @9 :Int64;
  endedMs @10 :Int64;
  outcome @11 :Outcome;
  # Of the newest attempt that ended. Absent: none has.
  logLength @12 :UInt64;
  # Bytes; 0 until sealed.
  artifacts @13 :Data;
  # Hash of a tree. Absent: none.
  needs @14 :List(Text);
  waitsFor @15 :Text;
  # One line; at most 4 KiB. Absent unless blocked or ready.
  metrics @16 :List(Metric);
  # Newest value of each; at most 10,000.
  logRun @17 :UInt64;
  logAttempt :group {
    job @18 :UInt64;
    epoch @19 :UInt64;
  }
  # Where its log is read, see LogRead in bulk.capnp. Epoch 0: there is none yet.
}

struct AgentJob {
  job @0 :Text;
  # "fashion#42/test/3".
  sinceMs @1 :Int64;
  gpuUuids @2 :List(Text);
}

struct AgentView {
  name @0 :Text;
  host @1 :Text;
  software @2 :Text;
  connected @3 :Bool;
  lastSeenMs @4 :Int64;
  offer @5 :Offer;
  # Absent: offers nothing.
  cpuMilliUsed @6 :UInt32;
  jobs @7 :List(AgentJob);
  # At most 100,000.
  note @8 :Text;
  # What is wrong with it, one line; at most 4 KiB. Absent: nothing.
  drained @9 :Bool;
  # Gets no new jobs.
}

struct EnrolmentUse {
  name @0 :Text;
  # Of the agent that was let in.
  fingerprint @1 :Text;
  # Of its key.
  atMs @2 :Int64;
}

struct EnrolmentView {
  id @0 :UInt64;
  labels @1 :List(Text);
  # That its agents get; at most 64.
  uses @2 :UInt32;
  # How many agents it lets in.
  used @3 :List(EnrolmentUse);
  # At most 1,000.
  madeMs @4 :Int64;
  expiresMs @5 :Int64;
  revokedMs @6 :Int64;
  # 0: it was not.
}

struct KeyView {
  role @0 :KeyRole;
  name @1 :Text;
  fingerprint @2 :Text;
  # "3f2a-9c01-77de"
  publicKey @3 :Text;
  # 40 characters of Z85.
  sinceMs @4 :Int64;
  # When the controller first saw it on its allowlist.
  enrolment @5 :UInt64;
  # That let it in. 0: a person put it there.
  connected @6 :Bool;
  # Agents only.
  lastSeenMs @7 :Int64;
  # 0: never, or (clients) not since the controller started.
}

# ---- requests ----

struct Submit {
  request :group {
    high @0 :UInt64;
    low @1 :UInt64;
  }
  # Random, by the client: the same id is the same submission, however often it is sent.
  file @2 :Text;
  # Name of the pipeline file, for diagnostics.
  text @3 :Data;
  # Its bytes as they are, at most 1 MiB.
  defaultName @4 :Text;
  # The pipeline's, where the file gives none.
  overrides @5 :List(EnvVar);
  # Sorted by name; at most 10,000.
  source @6 :Data;
  # Hash of a tree that the controller has. Absent: an empty workspace.
  info @7 :SourceInfo;
  # Absent: nothing is known.
}

struct Trigger {
  request :group {
    high @0 :UInt64;
    low @1 :UInt64;
  }
  # As in Submit.
  repository @2 :Text;
  # Absolute path or address.
  ref @3 :Text;
  # "refs/heads/main".
  oldCommit @4 :Text;
  # Full hex; zeros: the ref is new.
  newCommit @5 :Text;
  # Full hex; zeros: the ref was deleted.
}

struct WatchRepository {
  repository @0 :Text;
  # Its pushes are found by looking at its refs, too. Answered after such a look: done, or failure where the controller
  # cannot read it, which is then tried again like any look.
}

struct Cancel {
  what @0 :Selector;
  reason @1 :Text;
  # For a person; at most 4 KiB.
}

struct Retry {
  request :group {
    high @0 :UInt64;
    low @1 :UInt64;
  }
  # As in Submit.
  run @2 :Selector;
  failedOnly @3 :Bool;
  # Jobs that passed are taken over with their artifacts.
}

struct ListRuns {
  pipeline @0 :Text;
  # Absent: all.
  limit @1 :UInt32;
  # 1 to 1,000.
  before @2 :UInt64;
  # Older than this run. 0: from the newest on.
}

struct ShowRun {
  what @0 :Selector;
  first @1 :UInt32;
  # Of the jobs that match, from 0.
  limit @2 :UInt32;
  # 1 to 10,000.
}

struct Watch {
  run @0 :Selector;
}

struct Why {
  what @0 :Selector;
}

struct GetMetrics {
  what @0 :Selector;
  name @1 :Text;
  # Absent: all.
}

struct NewEnrolment {
  id @0 :UInt64;
  # Random, by the client, from 1 to 2^32 - 1. The same id with the same verifyKey is the same enrolment.
  verifyKey @1 :Data;
  # Ed25519 public key, 32 bytes, of which the line's secret is the seed.
  labels @2 :List(Text);
  # At most 64.
  uses @3 :UInt32;
  # 1 to 1,000.
  validMs @4 :Int64;
  # How long it may be used; above 0, at most 365 days.
}

struct RevokeEnrolment {
  id @0 :UInt64;
}

struct DrainAgent {
  agent @0 :Text;
  # Its name.
  drained @1 :Bool;
  # false: it gets jobs again.
}

struct Request {
  number @0 :UInt64;
  # Chosen by the client, not 0; every answer carries it.
  union {
    none @1 :Void;
    # Never sent; what a reader sees in an empty message. Refused.
    submit @2 :Submit;
    trigger @3 :Trigger;
    watchRepository @4 :WatchRepository;
    cancel @5 :Cancel;
    retry @6 :Retry;
    listRuns @7 :ListRuns;
    showRun @8 :ShowRun;
    watch @9 :Watch;
    listAgents @10 :Void;
    why @11 :Why;
    getMetrics @12 :GetMetrics;
    ping @13 :Void;
    newEnrolment @14 :NewEnrolment;
    listEnrolments @15 :Void;
    revokeEnrolment @16 :RevokeEnrolment;
    listKeys @17 :Void;
    revokeKey @18 :Text;
    # A name, or the start of a fingerprint.
    drainAgent @19 :DrainAgent;
  }
}

# ---- answers ----

struct Submitted {
  run @0 :UInt64;
  # 0: the push starts nothing; note says why.
  name @1 :Text;
  # "fashion#42".
  repeated @2 :Bool;
  # The request was known already.
  note @3 :Text;
  # For a person; at most 4 KiB.
}

struct Diagnostic {
  line @0 :UInt32;
  # From 1. 0: the file as a whole.
  column @1 :UInt32;
  # From 1. 0: the line as a whole.
  message @2 :Text;
  # At most 4 KiB.
}

struct Failure {
  code @0 :ErrorCode;
  message @1 :Text;
  # For a person; at most 64 KiB.
  file @2 :Text;
  # That the diagnostics are about. Absent: none.
  diagnostics @3 :List(Diagnostic);
  # Every mistake; at most 10,000.
}

struct RunDetail {
  run @0 :RunSummary;
  matching @1 :UInt32;
  # Jobs that match in all.
  jobs @2 :List(JobView);
  # At most 10,000.
}

struct RunUpdate {
  run @0 :RunSummary;
  jobs @1 :List(JobView);
  # Those that changed; in the first update all. At most 10,000.
  runEnded @2 :Bool;
  # Nothing more follows.
}

struct WaitReason {
  job @0 :Text;
  # "fashion#42/test/3".
  reason @1 :Text;
  # What it lacks; at most 4 KiB.
  holders @2 :List(Text);
  # Who holds that.
}

struct MetricSeries {
  job @0 :Text;
  # "fashion#42/train".
  name @1 :Text;
  steps @2 :List(Int64);
  # At most 10,000: of a longer series the least and the greatest of each stretch, and the last.
  values @3 :List(Float64);
  # As many as steps.
  reported @4 :UInt64;
  # How many the job reported. 0, from older controllers: not known.
}

struct Pong {
  software @0 :Text;
  agentsConnected @1 :UInt32;
  runsLive @2 :UInt32;
}

struct EnrolmentMade {
  enrolment @0 :EnrolmentView;
  host @1 :Text;
  # Where machines reach the controller, as far as it knows. Absent: it does not.
  advertised @2 :Bool;
  # `host` stands in its configuration: no guess.
  port @3 :UInt16;
  # Of the enrol endpoint.
}

struct Reply {
  number @0 :UInt64;
  # Of the request. 0: of one whose number could not be read.
  union {
    none @1 :Void;
    # Never sent; what a reader sees in an empty message. Refused.
    submitted @2 :Submitted;
    done @3 :Text;
    # For a person; at most 64 KiB.
    failure @4 :Failure;
    runList @5 :List(RunSummary);
    # Newest first; at most 1,000.
    runDetail @6 :RunDetail;
    runUpdate @7 :RunUpdate;
    agentList @8 :List(AgentView);
    # At most 10,000.
    waitReasons @9 :List(WaitReason);
    # At most 1,000.
    metricsAnswer @10 :List(MetricSeries);
    # At most 10,000.
    pong @11 :Pong;
    enrolmentMade @12 :EnrolmentMade;
    enrolmentList @13 :List(EnrolmentView);
    # Newest first; at most 10,000.
    keyList @14 :List(KeyView);
    # At most 50,000.
  }
}
