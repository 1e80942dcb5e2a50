@0x997efd12172e61ea;
# What an agent and the controller say to each other on the control channel. PROTOCOL.md tells the conversation. One frame
# is one message, rooted in FromAgent or ToAgent.
#
# An attempt is named by (job, epoch) everywhere. A session is the controller's name for one registration.

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
# Of one agent.
const maxMetricLines :UInt64 = 10000;
# In one report; a longer list travels in several.
const maxMetricsPerLine :UInt64 = 4096;
const maxMetricNameBytes :UInt64 = 256;
const maxJobMetrics :UInt64 = 10000;
# Newest values of one job.
const maxGpus :UInt64 = 1024;
# Of one agent.
const maxTreesPerAssign :UInt64 = 100001;
# The sources, and the artifacts of every shard that a pipeline may have.
const maxAssignMetrics :UInt64 = 100000;
# Of all needed jobs of one.
const smallLogBytes :UInt64 = 4096;
# A log of at most so many bytes may travel within Finished.

# ---- shared parts ----

enum Phase {
  # Where an attempt stands on its agent.
  preparing @0;
  # Accepted; inputs are being fetched, or it waits for its devices; no process yet.
  running @1;
  # The runner has it.
  reporting @2;
  # Ended; log and artifacts are on their way, or Finished waits for its FinishedAck.
}

struct HeldAttempt {
  attempt :group $attempt {
    job @0 :UInt64;
    epoch @1 :UInt64;
  }
  phase @2 :Phase;
}

enum OutcomeKind {
  # How an attempt ended.
  exited @0;
  # code: exit status, 0 is the only success.
  signaled @1;
  # code: signal number.
  startFailed @2;
  # A step's program could not be started.
  timedOut @3;
  # The job's timeout.
  killed @4;
  # Cancelled, or its lease ran out; detail says which.
  logQuota @5;
  # It printed more than the quota.
  lost @6;
  # The runner or the machine died under it.
  inputFailed @7;
  # The workspace could not be prepared.
  artifactMissing @8;
  # Its steps passed, an artifact that the job promises is not there.
  uploadFailed @9;
  # Its steps passed, artifacts could not be brought to the controller.
}

struct Outcome $json {
  kind @0 :OutcomeKind;
  code @1 :Int32;
  # exited: exit status. signaled: signal number. Else 0.
  step @2 :UInt32;
  # Index of the step that ended it.
  detail @3 :Text $message;
  # Absent: nothing to add.
}

struct Metric {
  name @0 :Text $max(.maxMetricNameBytes);
  value @1 :Float64;
}

struct MetricLine {
  # One line of a job's FURROW_METRICS file.
  step @0 :Int64 = -1;
  # "step"; -1: the line has none.
  atMs @1 :Int64 $time;
  # When the agent read the line.
  values @2 :List(Metric) $max(.maxMetricsPerLine);
  # Every other number of the line.
}

struct Gpu $json {
  # One GPU, or one MIG instance where a GPU is partitioned.
  uuid @0 :Text;
  # As NVML prints it, "GPU-…" or "MIG-…": what CUDA_VISIBLE_DEVICES accepts.
  model @1 :Text;
  # "NVIDIA H100 80GB HBM3".
  memoryBytes @2 :UInt64;
  # 0: not known; fits no job that demands GPU memory.
}

struct Offer $json {
  # What a machine has for jobs.
  cpuMilli @0 :UInt32 $thousandths $key("cpus");
  # Thousandths of a CPU. 0: offers none.
  memoryBytes @1 :UInt64;
  # Main memory that jobs may use together.
  gpus @2 :List(Gpu) $max(.maxGpus);
  # In NVML's order.
  labels @3 :List(Text) $max(1024);
}

enum ErrorCode $cxx("Errc") $given("common/base/error.h") {
  invalid @0;
  # The input is wrong.
  notFound @1;
  unavailable @2;
  # Try again later; nothing was changed.
  rejected @3;
  # Never: not allowed, or no longer current.
  corrupt @4;
  internal @5;
}

# ---- agent → controller ----

struct Register {
  # First message on a connection and after Reregister, repeated until answered by Welcome or Refused.
  oldestVersion @0 :UInt16;
  newestVersion @1 :UInt16;
  # Protocol versions that the agent speaks. Version 1 defines the fields 0 to 5 of this struct, Refused and the
  # fields 0 to 2 of Welcome for all later ones.
  software @2 :Text;
  # "furrow-agent 0.1.0 (cdbc41d)", for people.
  host @6 :Text;
  incarnation :group $uuid {
    high @4 :UInt64;
    low @5 :UInt64;
  }
  # Of the agent's state folder: new when that was lost, and its attempts with it.
  nonce @3 :UInt64;
  # Counts this process's registrations; echoed in Welcome and Refused.
  offer @7 :Offer;
  # Absent: offers nothing.
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
  # Random, by the agent's process. 0: not known.
}

struct Heartbeat {
  # Every heartbeat interval: lets the controller renew the lease and compare what it believes.
  session @0 :UInt64 $id("SessionId");
  sequence @1 :UInt64;
  # Counts up in a session; echoed in HeartbeatAck.
  held @2 :List(HeldAttempt) $max(.maxHeldAttempts);
  # All attempts that the agent has.
  clockAheadMs @3 :Int64;
  # How far the agent's clock is ahead of the controller's, as it found by the Welcome; 0: as far as it can tell, not.
  condition @4 :Text $message;
  # Why it should get no new jobs, in one line: its disk is nearly full. Empty: it should.
}

struct Started {
  # Not repeated: heartbeats tell the same later.
  session @0 :UInt64 $id("SessionId");
  attempt :group $attempt {
    job @1 :UInt64;
    epoch @2 :UInt64;
  }
  atMs @3 :Int64 $time;
  # When the attempt's first process was started.
}

struct MetricsReport {
  # Lines [first, first + lines) of the attempt's metrics. Repeated until MetricsAck.
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
  # Sent when the log is sealed and the artifacts committed. Repeated until FinishedAck.
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
  # Milliseconds, user and system, whole process tree as far as reaped.
  maxRssBytes @7 :UInt64;
  # Of the largest single process.
  logLength @8 :UInt64;
  # Bytes.
  logHash @9 :Data $hash;
  # SHA-256 of the whole log.
  smallLog @10 :Data $optional $max(.smallLogBytes);
  # The whole log, if it never travelled on the bulk channel. Absent: it did.
  artifacts @11 :Data $hash;
  # Of a tree that the controller has. Absent: none.
  metricsFirst @12 :UInt64;
  # Index of the first of `metrics`.
  metrics @13 :List(MetricLine) $max(.maxMetricLines);
  # The lines that are not acknowledged yet, to the end.
}

struct FromAgent $variant("AgentMessage") $noun("message of an agent") $frame(4194304) {
  union {
    none @0 :Void;
    # Never sent; what a reader sees in an empty message. Refused.
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
  # Of the Register it answers; an answer to an older one is ignored.
  version @2 :UInt16;
  # To be spoken from now on.
  heartbeatMs @3 :UInt32;
  # Interval of heartbeats.
  leaseMs @4 :UInt32;
  # Without a HeartbeatAck for so long the agent ends its attempts.
  wallMs @5 :Int64 $time;
  # The controller's clock. 0: not known.
}

struct Refused {
  # The controller will not have this agent.
  nonce @0 :UInt64;
  # Of the Register that it answers. 0: of none; a message could not be read, and reason says which.
  reason @1 :Text $message;
  retryMs @2 :UInt32;
  # The agent tries again no sooner.
}

struct Reregister {
  # Answer to a message of a session that the controller does not know (it was restarted, say).
  session @0 :UInt64 $id("SessionId");
  # The one that the controller does not know.
}

struct HeartbeatAck {
  session @0 :UInt64 $id("SessionId");
  sequence @1 :UInt64;
  # Of the heartbeat it answers: the lease counts from the sending of that one.
}

struct Assign $check {
  # Do this. Repeated while heartbeats do not show the attempt; doing it twice is the agent's to avoid.
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
  # Always present; shared with the controller's state.
  gpuUuids @7 :List(Text) $max(.maxGpus);
  # Devices that are its own.
  commit @8 :Text;
  # Full hex. Absent: not from a repository.
  branch @9 :Text $max(Pipeline.maxAddressBytes);
  # Absent: none.
  trees @10 :Data $hashes $max(.maxTreesPerAssign);
  # Put into the workspace in this order, a later one wins. Absent: an empty workspace.
  metrics @11 :List(Metric) $max(.maxAssignMetrics);
  # Of the needed jobs, those that its check steps name.
  logQuotaBytes @12 :UInt64;
  # The attempt ends with logQuota above it.
  reported @13 :Text $message;
  # Names of what the needed jobs reported, where a check step names a metric that is not among it.
}

struct Kill {
  # End this attempt if it is there. Repeated while heartbeats show it.
  session @0 :UInt64 $id("SessionId");
  attempt :group $attempt {
    job @1 :UInt64;
    epoch @2 :UInt64;
  }
  reason @3 :Text $message;
  forget @4 :Bool;
  # Stale: nobody wants its report.
}

struct FinishedAck {
  # On record, or refused as stale: forget the attempt and delete its spool.
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
    # Never sent; what a reader sees in an empty message. Refused.
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
