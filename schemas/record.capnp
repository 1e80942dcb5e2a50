@0x897a59756f6ce72c;
# Defines what the controller stores on disk. controller/STORE.md says under which keys; a record replaces the one with
# the same key.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("furrow::wire");

using import "annotations.capnp".attempt;
using import "annotations.capnp".cxx;
using import "annotations.capnp".frame;
using import "annotations.capnp".hash;
using import "annotations.capnp".id;
using import "annotations.capnp".initial;
using import "annotations.capnp".map;
using import "annotations.capnp".max;
using import "annotations.capnp".message;
using import "annotations.capnp".millis;
using import "annotations.capnp".noun;
using import "annotations.capnp".optional;
using import "annotations.capnp".time;
using import "annotations.capnp".uuid;
using import "annotations.capnp".variant;

using import "agent.capnp".Metric;
using import "agent.capnp".MetricLine;
using import "agent.capnp".Offer;
using import "agent.capnp".Outcome;
using import "agent.capnp".OutcomeKind;
using import "client.capnp".Drain;
using import "client.capnp".JobState;
using import "client.capnp".LastPush;
using import "client.capnp".RunState;
using import "pipeline.capnp".PipelineSpec;
using import "pipeline.capnp".SourceInfo;
using import "enrol.capnp".KeyRole;
using Agent = import "agent.capnp";
using Enrol = import "enrol.capnp";
using Pipeline = import "pipeline.capnp";

enum LogStorage {
  # A LogStorage says where the bytes of a sealed log lie.
  none @0;
  # Nothing is stored: the log is empty.
  ownFile @1;
  # The log is the attempt's own file, found by its name.
  pack @2;
  # The log is a frame in one of the run's pack files.
}

struct LogRecord {
  length @0 :UInt64;
  # Raw bytes.
  hash @1 :Data $hash;
  # SHA-256 of the whole log.
  location :group $cxx("LogLocation") {
    storage @2 :LogStorage;
    pack @3 :UInt32;
    # Number of the run's pack file; only with storage pack.
    offset @4 :UInt64;
    # Offset of the frame in the pack, in bytes; only with storage pack.
  }
}

struct FarmRecord {
  # A FarmRecord names the farm, whatever key its controller has, and the farm's timeline.
  id :group $uuid {
    high @0 :UInt64;
    low @1 :UInt64;
  }
  # Random; made when the farm is, and never changed.
  timeline @2 :UInt64;
  # Counts from 1. A restore or a takeover begins a new timeline: what was said in an older one may be unknown here, so
  # every counter skips ahead, and no number of the older timeline is given again.
  beganMs @3 :Int64 $time;
  # Time when the timeline began. 0: not known.
}

struct CountersRecord {
  # A CountersRecord holds the last number that was given out of each kind.
  run @0 :UInt64 $id("RunId");
  job @1 :UInt64 $id("JobId");
  pipeline @2 :UInt64 $id("PipelineId");
  project @3 :UInt64 $id("ProjectId");
  person @4 :UInt64 $id("PersonId");
}

struct ProjectRecord {
  # A ProjectRecord is a project, which owns pipelines and their runs.
  id @0 :UInt64 $id("ProjectId");
  name @1 :Text;
  # Unique in the farm; written as a pipeline's name is.
  madeMs @2 :Int64 $time;
}

struct PersonRecord {
  # A PersonRecord is whom a key stands for.
  id @0 :UInt64 $id("PersonId");
  name @1 :Text;
  # Unique in the farm.
  madeMs @2 :Int64 $time;
}

struct PipelineRecord {
  # A PipelineRecord is a pipeline file of a repository or folder, which many runs share.
  id @0 :UInt64 $id("PipelineId");
  project @1 :UInt64 $id("ProjectId");
  name @2 :Text;
  # Unique in the project.
  origin @3 :Text $max(Pipeline.maxAddressBytes);
  # Repository, or folder, that the file lies in. Absent: not known yet; the next run of this name says.
  file @4 :Text $max(Pipeline.maxAddressBytes);
  # Path of the file there.
  lastNumber @5 :UInt64;
  # Number of the newest run.
  madeMs @6 :Int64 $time;
  declared @7 :Text;
  # Name that the file gives itself. It differs from `name` where that was taken.
}

struct AttemptRecord {
  # An AttemptRecord is one ended attempt.
  epoch @0 :UInt64 $id("Epoch");
  agent @1 :Text;
  gpuUuids @2 :List(Text) $max(Agent.maxGpus);
  startedMs @3 :Int64 $time;
  # 0: no process ever ran.
  endedMs @4 :Int64 $time;
  outcome @5 :Outcome;
  cpuMs @6 :UInt64;
  # Milliseconds.
  maxRssBytes @7 :UInt64;
  log @8 :LogRecord;
  # Absent: no log.
  artifacts @9 :Data $hash;
  # Name of a tree. Absent: none.
  run @10 :UInt64 $id("RunId");
  job @11 :UInt64 $id("JobId");
  metrics @12 :List(Metric) $max(1000000);
  # Newest value of each name.
}

struct RunRecord {
  # A RunRecord is a run as it was accepted, and how it ended. It is written at both moments.
  id @0 :UInt64 $id("RunId");
  number @1 :UInt64;
  request :group $uuid {
    high @2 :UInt64;
    low @3 :UInt64;
  }
  # Id of the submission that made the run.
  specInside @4 :PipelineSpec $optional;
  # Format 1 kept the parsed pipeline here; now it is a value of its own, see `spec`.
  source @5 :Data $hash;
  # Name of a tree. Absent: none.
  info @6 :SourceInfo;
  submittedMs @7 :Int64 $time;
  endedMs @8 :Int64 $time;
  # 0: not yet.
  state @9 :RunState;
  note @10 :Text $message;
  firstJob @11 :UInt64 $id("JobId");
  # The run's jobs are numbered on from here.
  retryOf @12 :UInt64 $id("RunId");
  # Run that this run repeats. 0: none.
  jobsPassed @14 :UInt32;
  # Shards; counted when the run has ended.
  jobsFailed @15 :UInt32;
  cancelling @13 :Bool;
  # true: a request to end the run came.
  project @16 :UInt64 $id("ProjectId");
  # 0: a run of before there were projects.
  person @17 :UInt64 $id("PersonId");
  # Person who started the run.
  pipeline @18 :UInt64 $id("PipelineId");
  text @19 :Data $hash;
  # SHA-256 of the pipeline file, whose bytes are a value of their own. Absent: not kept.
  name @20 :Text;
  # Name of the pipeline.
  jobsTotal @21 :UInt32;
  # Shards.
  spec @22 :Data $hash;
  # SHA-256 of the parsed pipeline's value; runs of the same pipeline share the value.
}

struct JobRecord {
  # A JobRecord is a job that has left its first state; a job without a record is blocked or ready with epoch 0.
  id @0 :UInt64 $id("JobId");
  run @1 :UInt64 $id("RunId");
  state @2 :JobState;
  epoch @3 :UInt64 $id("Epoch");
  # Epoch of the newest assignment; it is durable before the assignment leaves.
  agent @4 :Text;
  # Agent to which the job is assigned. Absent: none.
  incarnation :group $uuid {
    high @5 :UInt64;
    low @6 :UInt64;
  }
  # Incarnation of that agent's state folder.
  gpuUuids @7 :List(Text) $max(Agent.maxGpus);
  # GPUs that the job has for itself on that agent.
  cancelling @14 :Bool;
  # true: a request to end the job came, and its agent has yet to report.
  readyMs @8 :Int64 $time;
  assignedMs @9 :Int64 $time;
  startedMs @10 :Int64 $time;
  retries @11 :UInt32;
  # Attempts that counted against the retry rule.
  reusedRun @15 :UInt64 $id("RunId");
  # Run from which a retry took the job over: the log lies there. 0: the log is the job's own.
  reusedJob @16 :UInt64 $id("JobId");
  # The job of reusedRun.
  attemptsInside @12 :List(AttemptRecord) $max(1000000);
  metricsInside @13 :List(Metric) $max(1000000);
  # Format 1 kept the ended attempts and the newest metrics here; now each attempt is a record of its own.
  metricsLeftOut @17 :UInt64;
  # Lines of the newest attempt that are acknowledged and not on record, since they were more than an attempt may report.
}

struct MetricsRecord {
  # A MetricsRecord holds lines [first, first + lines) of an attempt's metrics.
  attempt :group $attempt {
    job @0 :UInt64;
    epoch @1 :UInt64;
  }
  first @2 :UInt64;
  # Index of the first line.
  lines @3 :List(MetricLine) $max(Agent.maxMetricLines);
  run @4 :UInt64 $id("RunId");
}

struct SealRecord {
  # The bulk channel sealed the log of a running attempt; the attempt's Finished has not come yet.
  attempt :group $attempt {
    job @0 :UInt64;
    epoch @1 :UInt64;
  }
  log @2 :LogRecord;
}

struct AgentRecord {
  name @0 :Text;
  host @1 :Text;
  software @2 :Text;
  incarnation :group $uuid {
    high @3 :UInt64;
    low @4 :UInt64;
  }
  # Incarnation of the agent's state folder when the agent last registered.
  offer @5 :Offer;
  # The agent's last offer.
  lastSeenMs @6 :Int64 $time;
  machine :group $uuid {
    high @7 :UInt64;
    low @8 :UInt64;
  }
  # Machine as in the agent's last Register; 0: not known.
  boot :group $uuid {
    high @9 :UInt64;
    low @10 :UInt64;
  }
  drained @11 :Bool;
  # true: the agent gets no new jobs.
  leaseMs @12 :UInt64 $millis $max(31622400000);
  # Time for which the agent may run jobs without the controller; 0: not known.
  drain @13 :Drain;
  # Empty unless the agent is drained.
}

struct EnrolmentUseRecord {
  publicKey @0 :Text;
  # Key of the agent that was let in.
  name @1 :Text;
  atMs @2 :Int64 $time;
  # Time when the agent proved the secret.
  admitted @3 :Bool;
  # true: the key was put on the allowlist, where only a revocation since then removes it.
}

struct EnrolmentRecord {
  # An EnrolmentRecord is one line of `furrow enrol new`, and the agents that it let in.
  id @0 :UInt64 $id("EnrolmentId");
  verifyKey @1 :Data $hash;
  # Checks proofs; only the line holds the secret itself.
  labels @2 :List(Text) $max(Enrol.maxEnrolmentLabels);
  uses @3 :UInt32;
  # Number of agents that the line lets in.
  used @4 :List(EnrolmentUseRecord) $max(Enrol.maxEnrolmentUses);
  # A use is on record before its key is let in.
  madeMs @5 :Int64 $time;
  expiresMs @6 :Int64 $time;
  revokedMs @7 :Int64 $time;
  # 0: not revoked.
}

struct KeyRecord {
  # A KeyRecord is what is known of a key of the allowlist, beside the line itself.
  publicKey @0 :Text;
  role @1 :KeyRole $initial("KeyRole::kClient");
  name @2 :Text;
  sinceMs @3 :Int64 $time;
  # Time when the key was first seen on the allowlist.
  enrolment @4 :UInt64 $id("EnrolmentId");
  # Enrolment that let the key in. 0: a person added the key.
}

struct TriggerRecord {
  # A TriggerRecord is a push that was reported and has not become a run yet.
  request :group $uuid {
    high @0 :UInt64;
    low @1 :UInt64;
  }
  repository @2 :Text $max(Pipeline.maxAddressBytes);
  ref @3 :Text $max(Pipeline.maxAddressBytes);
  oldCommit @4 :Text;
  # Full hex; zeros: the ref is new.
  newCommit @5 :Text;
  # Full hex; zeros: the ref was deleted.
  tries @6 :UInt32;
  # Imports that were begun since one stored anything. 0: none, or nobody counted.
  faults @7 :UInt32;
  # How many of them ended by trouble that the commit itself may be the cause of.
}

struct Ref $cxx("RefRecord") {
  name @0 :Text $max(Pipeline.maxAddressBytes);
  # "refs/heads/main".
  commit @1 :Text;
  # Full hex.
}

struct RepositoryRecord {
  # A RepositoryRecord is a repository that is checked for missed pushes, with the commits that were seen.
  repository @0 :Text $max(Pipeline.maxAddressBytes);
  refs @1 :List(Ref) $map $max(1000000);
  looked @2 :Bool;
  # true: the refs were read once; from then on an unknown ref is a push.
  hooked @3 :Bool;
  # true: a look found the farm's hook, so a later one that does not find it has something to tell.
  lastPush @4 :LastPush $optional;
  # Absent: none is known.
  identity @5 :Text $max(Pipeline.maxAddressBytes);
  # What the repository is, whatever its path. Empty: not known.
}

enum EventKind {
  timelineBegan @0;
  controllerStarted @1;
  runAccepted @2;
  runCancelling @3;
  runEnded @4;
  jobReady @5;
  jobAssigned @6;
  jobStarted @7;
  attemptEnded @8;
  jobEnded @9;
  agentConnected @10;
  agentAway @11;
  agentDrained @12;
  agentResumed @13;
  agentForgotten @14;
  enrolmentMade @15;
  enrolmentRevoked @16;
  keyAdmitted @17;
  keyRevoked @18;
  pushNoted @19;
  pushSettled @20;
  pipelineMade @21;
  repositoryForgotten @22;
}

struct EventRecord {
  # An EventRecord says what changed the state of the farm, in the same commit as the change.
  kind @0 :EventKind;
  atMs @1 :Int64 $time;
  project @2 :UInt64 $id("ProjectId");
  # 0: the event is of the farm as a whole.
  by @3 :Text;
  # Name of the key that asked for the change. Absent: the farm did it by itself.
  run @4 :UInt64 $id("RunId");
  attempt :group $attempt {
    job @5 :UInt64;
    epoch @6 :UInt64;
  }
  runState @7 :RunState;
  # With runEnded.
  jobState @8 :JobState;
  # With jobEnded.
  outcome @9 :OutcomeKind;
  # With attemptEnded.
  subject @10 :Text $max(Pipeline.maxAddressBytes);
  # Agent, key, enrolment or repository that the event is about.
  detail @11 :Text $message;
  # For people.
}

struct Record $variant("Record") $noun("record") $frame(67108864) {
  union {
    none @0 :Void;
    # Never written: a reader sees this member in an empty value, and refuses the value.
    run @1 :RunRecord;
    job @2 :JobRecord;
    metrics @3 :MetricsRecord;
    seal @4 :SealRecord;
    agent @5 :AgentRecord;
    trigger @6 :TriggerRecord;
    repository @7 :RepositoryRecord;
    enrolment @8 :EnrolmentRecord;
    key @9 :KeyRecord;
    farm @10 :FarmRecord;
    counters @11 :CountersRecord;
    project @12 :ProjectRecord;
    person @13 :PersonRecord;
    pipeline @14 :PipelineRecord;
    attempt @15 :AttemptRecord;
    spec @16 :PipelineSpec;
    event @17 :EventRecord;
  }
}
