@0x997efd12172e61ea;
# Defines the messages of an agent and the controller on the control channel; PROTOCOL.md describes the conversation.
# One frame is one message, rooted in FromAgent or ToAgent.
#
# Every message names an attempt by (job, epoch). A session is the controller's name for one registration.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("furrow::wire");

using import "annotations.capnp".attempt;
using import "annotations.capnp".check;
using import "annotations.capnp".frame;
using import "annotations.capnp".given;
using import "annotations.capnp".hash;
using import "annotations.capnp".hashes;
using import "annotations.capnp".id;
using import "annotations.capnp".json;
using import "annotations.capnp".key;
using import "annotations.capnp".max;
using import "annotations.capnp".message;
using import "annotations.capnp".noun;
using import "annotations.capnp".optional;
using import "annotations.capnp".shared;
using import "annotations.capnp".thousandths;
using import "annotations.capnp".time;
using import "annotations.capnp".uuid;
using import "annotations.capnp".variant;
using import "annotations.capnp".cxx;

using import "pipeline.capnp".JobSpec;
using Pipeline = import "pipeline.capnp";

const maxHeldAttempts :UInt64 = 100000;
# Attempts of one agent.
const maxMetricLines :UInt64 = 10000;
# Lines of one report; a longer list travels in several reports.
const maxMetricsPerLine :UInt64 = 4096;
const maxMetricNameBytes :UInt64 = 256;
const maxJobMetrics :UInt64 = 10000;
# Newest values of one job.
const maxAttemptMetricLines :UInt64 = 1000000;
# Lines of one attempt that are kept.
const maxAttemptMetricBytes :UInt64 = 134217728;
# Bytes on the wire of the lines of one attempt that are kept.
const maxGpus :UInt64 = 1024;
# GPUs of one agent.
const maxTreesPerAssign :UInt64 = 100001;
# The sources, and the artifacts of every shard that a pipeline may have.
const maxAssignMetrics :UInt64 = 100000;
# Metrics of all jobs that one job needs.
const smallLogBytes :UInt64 = 4096;
# A log of at most so many bytes may travel within Finished.

# ---- shared parts ----

enum Phase {
  # A Phase says how far an attempt has got on its agent.
  preparing @0;
  # The attempt is accepted and waits for its inputs or its devices; no process runs yet.
  running @1;
  # The runner has the attempt.
  reporting @2;
  # The attempt has ended; its log and artifacts are on their way, or its Finished waits for a FinishedAck.
}

struct HeldAttempt {
  attempt :group $attempt {
    job @0 :UInt64;
    epoch @1 :UInt64;
  }
  phase @2 :Phase;
}

enum OutcomeKind {
  # An OutcomeKind says how an attempt ended.
  exited @0;
  # code is the exit status; 0 is the only success.
  signaled @1;
  # code is the signal's number.
  startFailed @2;
  # A step's program could not be started.
  timedOut @3;
  # The attempt ran longer than the job's timeout.
  killed @4;
  # The attempt was cancelled, or its lease ran out; detail says which.
  logQuota @5;
  # The job printed more than the quota.
  lost @6;
  # The runner or the machine died during the attempt.
  inputFailed @7;
  # The workspace could not be prepared.
  artifactMissing @8;
  # The steps passed, but not all artifacts that the job promises could be kept; Finished names those that were.
  uploadFailed @9;
  # The steps passed, but the agent could not bring artifacts to the controller.
}

struct Outcome $json {
  kind @0 :OutcomeKind;
  code @1 :Int32;
  # exited: exit status. signaled: signal number. Else 0.
  step @2 :UInt32;
  # Index of the step that ended the attempt.
  detail @3 :Text $message;
  # Absent: nothing to add.
}

struct Metric {
  name @0 :Text $max(.maxMetricNameBytes);
  value @1 :Float64;
}

struct MetricLine {
  # A MetricLine is one line of a job's FURROW_METRICS file.
  step @0 :Int64 = -1;
  # Value of "step" in the line; -1: the line has none.
  atMs @1 :Int64 $time;
  # Time when the agent read the line.
  values @2 :List(Metric) $max(.maxMetricsPerLine);
  # Every other number of the line.
}

struct Gpu $json {
  # A Gpu is one GPU, or one MIG instance of a partitioned GPU.
  uuid @0 :Text;
  # NVML's name, "GPU-…" or "MIG-…", which CUDA_VISIBLE_DEVICES accepts.
  model @1 :Text;
  # "NVIDIA H100 80GB HBM3".
  memoryBytes @2 :UInt64;
  # 0: not known; such a GPU fits no job that demands GPU memory.
}

struct Offer $json {
  # An Offer says what a machine has for jobs.
  cpuMilli @0 :UInt32 $thousandths $key("cpus");
  # Thousandths of a CPU. 0: the agent offers none.
  memoryBytes @1 :UInt64;
  # Bytes of main memory that jobs may use together.
  gpus @2 :List(Gpu) $max(.maxGpus);
  # The GPUs are in NVML's order.
  labels @3 :List(Text) $max(1024);
}

enum ErrorCode $cxx("Errc") $given("common/base/error.h") {
  invalid @0;
  # The input is wrong.
  notFound @1;
  unavailable @2;
  # Try again later; nothing was changed.
  rejected @3;
  # A retry is useless: the request is not allowed, or no longer current.
  corrupt @4;
  internal @5;
}

# ---- agent → controller ----

struct Register {
  # The agent sends Register first on a connection and after Reregister, and repeats it until Welcome or Refused
  # answers.
  oldestVersion @0 :UInt16;
  newestVersion @1 :UInt16;
  # Protocol versions that the agent speaks. Version 1 defines the fields 0 to 5 of this struct, Refused and the fields
  # 0 to 2 of Welcome for all later versions.
  software @2 :Text;
  # "furrow-agent 0.1.0 (cdbc41d)", for people.
  host @6 :Text;
  incarnation :group $uuid {
    high @4 :UInt64;
    low @5 :UInt64;
  }
  # Names the agent's state folder; an agent that lost the folder, and its attempts with it, has a new incarnation.
  nonce @3 :UInt64;
  # Counts this process's registrations; Welcome and Refused echo it.
  offer @7 :Offer;
  # Absent: the agent offers nothing.
  held @8 :List(HeldAttempt) $max(.maxHeldAttempts);
  # All attempts that the agent has.
  machine :group $uuid {
    high @9 :UInt64;
    low @10 :UInt64;
  }
  # Digest of the machine's id. 0: not known.
  boot :group $uuid {
    high @11 :UInt64;
    low @12 :UInt64;
  }
  # Digest of the machine's boot id: new at each start of the machine. 0: not known.
  process :group $uuid {
    high @13 :UInt64;
    low @14 :UInt64;
  }
  # Random number of the agent's process. 0: not known.
}

struct Heartbeat {
  # The agent sends a Heartbeat every interval: the controller renews the lease and compares its own view with the
  # agent's.
  session @0 :UInt64 $id("SessionId");
  sequence @1 :UInt64;
  # Counts up in a session; HeartbeatAck echoes it.
  held @2 :List(HeldAttempt) $max(.maxHeldAttempts);
  # All attempts that the agent has.
  clockAheadMs @3 :Int64;
  # Milliseconds by which the agent's clock is ahead of the controller's, measured at the Welcome. 0: no difference was
  # found.
  condition @4 :Text $message;
  # One line that says why the agent should get no new jobs, e.g. that its disk is nearly full. Empty: it should get
  # jobs.
}

struct Started {
  # The agent does not repeat Started, because later heartbeats say the same.
  session @0 :UInt64 $id("SessionId");
  attempt :group $attempt {
    job @1 :UInt64;
    epoch @2 :UInt64;
  }
  atMs @3 :Int64 $time;
  # Time when the attempt's first process was started.
}

struct MetricsReport {
  # Carries lines [first, first + lines) of the attempt's metrics. The agent repeats it until MetricsAck.
  session @0 :UInt64 $id("SessionId");
  attempt :group $attempt {
    job @1 :UInt64;
    epoch @2 :UInt64;
  }
  first @3 :UInt64;
  # Index of the first line.
  lines @4 :List(MetricLine) $max(.maxMetricLines);
}

struct Finished $check {
  # The agent sends Finished when the log is sealed and the artifacts are committed, and repeats it until FinishedAck.
  session @0 :UInt64 $id("SessionId");
  attempt :group $attempt {
    job @1 :UInt64;
    epoch @2 :UInt64;
  }
  outcome @3 :Outcome;
  startedMs @4 :Int64 $time;
  # 0: no process ever ran.
  endedMs @5 :Int64 $time;
  cpuMs @6 :UInt64;
  # Milliseconds, user and system, of the whole process tree as far as its processes were reaped.
  maxRssBytes @7 :UInt64;
  # Bytes of the largest single process.
  logLength @8 :UInt64;
  # Bytes.
  logHash @9 :Data $hash;
  # SHA-256 of the whole log.
  smallLog @10 :Data $optional $max(.smallLogBytes);
  # The whole log, if the bulk channel never carried it. Absent: the bulk channel did.
  artifacts @11 :Data $hash;
  # Name of a tree that the controller has, whatever the outcome. Absent: none.
  metricsFirst @12 :UInt64;
  # Index of the first of `metrics`.
  metrics @13 :List(MetricLine) $max(.maxMetricLines);
  # The lines that are not acknowledged yet, to the last one.
}

struct FromAgent $variant("AgentMessage") $noun("message of an agent") $frame(4194304) {
  union {
    none @0 :Void;
    # Never sent: a reader sees this member in an empty message, and refuses the message.
    register @1 :Register;
    heartbeat @2 :Heartbeat;
    started @3 :Started;
    metricsReport @4 :MetricsReport;
    finished @5 :Finished;
  }
}

# ---- controller → agent ----

struct Welcome {
  session @0 :UInt64 $id("SessionId");
  # Not 0.
  nonce @1 :UInt64;
  # Nonce of the answered Register; the agent ignores an answer to an older one.
  version @2 :UInt16;
  # Protocol version to speak from now on.
  heartbeatMs @3 :UInt32;
  # Milliseconds between heartbeats.
  leaseMs @4 :UInt32;
  # An agent without a HeartbeatAck for so many milliseconds ends its attempts.
  wallMs @5 :Int64 $time;
  # The controller's clock. 0: not known.
  farm :group $uuid {
    high @6 :UInt64;
    low @7 :UInt64;
  }
  # Id of the farm. 0: not known.
  timeline @8 :UInt64;
  # Timeline of the farm, see FarmRecord in record.capnp. 0: not known.
}

struct Refused {
  # The controller refuses this agent.
  nonce @0 :UInt64;
  # Nonce of the refused Register. 0: a message could not be read, and reason says which.
  reason @1 :Text $message;
  retryMs @2 :UInt32;
  # Milliseconds that the agent waits at least before it tries again.
}

struct Reregister {
  # Answers a message of a session that the controller does not know, for example after the controller's restart.
  session @0 :UInt64 $id("SessionId");
  # The session that the controller does not know.
}

struct HeartbeatAck {
  session @0 :UInt64 $id("SessionId");
  sequence @1 :UInt64;
  # Sequence of the answered heartbeat: the lease counts from the time when that heartbeat was sent.
}

struct Assign $check {
  # Gives the agent a job. The controller repeats Assign while heartbeats do not show the attempt; the agent must not
  # run a repeated attempt twice.
  session @0 :UInt64 $id("SessionId");
  attempt :group $attempt {
    job @1 :UInt64;
    epoch @2 :UInt64;
  }
  run @3 :UInt64 $id("RunId");
  runName @4 :Text;
  # "fashion#42".
  shard @5 :UInt32;
  # From 0, below spec.shards.
  spec @6 :JobSpec $shared;
  # Always present; the controller's state shares it.
  gpuUuids @7 :List(Text) $max(.maxGpus);
  # Devices that the attempt has for itself.
  commit @8 :Text;
  # Full hex. Absent: the sources are from no repository.
  branch @9 :Text $max(Pipeline.maxAddressBytes);
  # Absent: none.
  trees @10 :Data $hashes $max(.maxTreesPerAssign);
  # The agent writes the trees into the workspace in this order; a later one wins. Absent: an empty workspace.
  metrics @11 :List(Metric) $max(.maxAssignMetrics);
  # Metrics of the needed jobs that the job's check steps name.
  logQuotaBytes @12 :UInt64;
  # Bytes; an attempt with a longer log ends with logQuota.
  reported @13 :Text $message;
  # Names of the metrics that the needed jobs reported, if a check step names a metric that is not among them.
}

struct Kill {
  # Ends an attempt that the agent has. The controller repeats Kill while heartbeats show the attempt.
  session @0 :UInt64 $id("SessionId");
  attempt :group $attempt {
    job @1 :UInt64;
    epoch @2 :UInt64;
  }
  reason @3 :Text $message;
  forget @4 :Bool;
  # true: the attempt is stale, and the controller needs no report.
}

struct FinishedAck {
  # The report is on record, or refused as stale: the agent forgets the attempt and deletes its spool.
  session @0 :UInt64 $id("SessionId");
  attempt :group $attempt {
    job @1 :UInt64;
    epoch @2 :UInt64;
  }
}

struct MetricsAck {
  session @0 :UInt64 $id("SessionId");
  attempt :group $attempt {
    job @1 :UInt64;
    epoch @2 :UInt64;
  }
  count @3 :UInt64;
  # Lines below this index are on record.
}

struct ToAgent $variant("ToAgent") $noun("message to an agent") $frame(4194304) {
  union {
    none @0 :Void;
    # Never sent: a reader sees this member in an empty message, and refuses the message.
    welcome @1 :Welcome;
    refused @2 :Refused;
    reregister @3 :Reregister;
    heartbeatAck @4 :HeartbeatAck;
    assign @5 :Assign;
    kill @6 :Kill;
    finishedAck @7 :FinishedAck;
    metricsAck @8 :MetricsAck;
  }
}
