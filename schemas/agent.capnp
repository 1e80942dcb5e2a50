@0x997efd12172e61ea;
# Control channel between an agent and the controller: common/wire/messages_agent.h on the wire.
# PROTOCOL.md tells the conversation. One frame is one message, rooted in FromAgent or ToAgent, of at most 4 MiB.
#
# An attempt is named by (job, epoch) everywhere. A session is the controller's name for one registration.
# Times of day are milliseconds since 1970 UTC, for people only; 0: not known. Hashes are 32 bytes of SHA-256;
# absent: none. Lists of hashes are one Data of 32 bytes each, without gaps.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("furrow::wire");

using import "pipeline.capnp".JobSpec;

# ---- shared parts ----

enum Phase {
  preparing @0;
  # Accepted; no process yet.
  running @1;
  # The runner has it.
  reporting @2;
  # Ended; log, artifacts or the FinishedAck are on their way.
}

struct HeldAttempt {
  job @0 :UInt64;
  epoch @1 :UInt64;
  phase @2 :Phase;
}

enum OutcomeKind {
  exited @0;
  signaled @1;
  startFailed @2;
  timedOut @3;
  killed @4;
  logQuota @5;
  lost @6;
  inputFailed @7;
  artifactMissing @8;
  uploadFailed @9;
}

struct Outcome {
  kind @0 :OutcomeKind;
  code @1 :Int32;
  # exited: exit status, 0 is the only success. signaled: signal number. Else 0.
  step @2 :UInt32;
  # Index of the step that ended it.
  detail @3 :Text;
  # For a person; at most 4 KiB, longer ones are cut when sent. Absent: nothing to add.
}

struct Metric {
  name @0 :Text;
  # At most 256 bytes.
  value @1 :Float64;
}

struct MetricLine {
  step @0 :Int64 = -1;
  # -1: the line has none.
  atMs @1 :Int64;
  # When the agent read the line.
  values @2 :List(Metric);
  # At most 4,096.
}

struct Gpu {
  uuid @0 :Text;
  # As NVML prints it, "GPU-…" or "MIG-…".
  model @1 :Text;
  memoryBytes @2 :UInt64;
}

struct Offer {
  cpuMilli @0 :UInt32;
  # Thousandths of a CPU. 0: offers none.
  memoryBytes @1 :UInt64;
  # Main memory that jobs may use together.
  gpus @2 :List(Gpu);
  # In NVML's order; at most 1,024.
  labels @3 :List(Text);
  # At most 1,024.
}

enum ErrorCode {
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
  oldestVersion @0 :UInt16;
  newestVersion @1 :UInt16;
  # Protocol versions that the agent speaks. Version 1 defines the fields 0 to 5 of this struct, Refused and the
  # fields 0 to 2 of Welcome for all later ones.
  software @2 :Text;
  # "furrow-agent 0.1.0 (cdbc41d)", for people.
  nonce @3 :UInt64;
  # Counts this process's registrations; echoed in Welcome and Refused.
  incarnation :group {
    high @4 :UInt64;
    low @5 :UInt64;
  }
  # Of the agent's state folder: new when that was lost, and its attempts with it.
  host @6 :Text;
  offer @7 :Offer;
  # Absent: offers nothing.
  held @8 :List(HeldAttempt);
  # All attempts that the agent has; at most 100,000.
  machine :group {
    high @9 :UInt64;
    low @10 :UInt64;
  }
  # Digest of the machine's id. 0: not known.
  boot :group {
    high @11 :UInt64;
    low @12 :UInt64;
  }
  # Digest of the machine's boot id: new at each start of the machine. 0: not known.
  process :group {
    high @13 :UInt64;
    low @14 :UInt64;
  }
  # Random, by the agent's process. 0: not known.
}
# First message on a connection and after Reregister, repeated until answered by Welcome or Refused.

struct Heartbeat {
  session @0 :UInt64;
  sequence @1 :UInt64;
  # Counts up in a session; echoed in HeartbeatAck.
  held @2 :List(HeldAttempt);
  # All attempts that the agent has; at most 100,000.
  clockAheadMs @3 :Int64;
  # How far the agent's clock is ahead of the controller's, as it found by the Welcome; 0: as far as it can tell, not.
  trouble @4 :Text;
  # Why it should get no new jobs, in one line: its disk is nearly full. Empty: it should.
}

struct Started {
  session @0 :UInt64;
  attempt :group {
    job @1 :UInt64;
    epoch @2 :UInt64;
  }
  atMs @3 :Int64;
  # When the attempt's first process was started.
}
# Not repeated: heartbeats tell the same later.

struct MetricsReport {
  session @0 :UInt64;
  attempt :group {
    job @1 :UInt64;
    epoch @2 :UInt64;
  }
  first @3 :UInt64;
  # Index of the first line.
  lines @4 :List(MetricLine);
  # At most 10,000.
}
# Repeated until MetricsAck.

struct Finished {
  session @0 :UInt64;
  attempt :group {
    job @1 :UInt64;
    epoch @2 :UInt64;
  }
  outcome @3 :Outcome;
  # Always present.
  startedMs @4 :Int64;
  # 0: no process ever ran.
  endedMs @5 :Int64;
  cpuMs @6 :UInt64;
  # Milliseconds, user and system, whole process tree as far as reaped.
  maxRssBytes @7 :UInt64;
  # Of the largest single process.
  logLength @8 :UInt64;
  # Bytes.
  logHash @9 :Data;
  # Of the whole log.
  smallLog @10 :Data;
  # The whole log, at most 4,096 bytes, if it never travelled on the bulk channel. Absent: it did.
  artifacts @11 :Data;
  # Hash of a tree that the controller has. Absent: none.
  metricsFirst @12 :UInt64;
  # Index of the first of `metrics`.
  metrics @13 :List(MetricLine);
  # The lines that are not acknowledged yet, to the end; at most 10,000.
}
# Sent when the log is sealed and the artifacts committed. Repeated until FinishedAck.

struct FromAgent {
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
  session @0 :UInt64;
  # Not 0.
  nonce @1 :UInt64;
  # Of the Register it answers; an answer to an older one is ignored.
  version @2 :UInt16;
  # To be spoken from now on.
  heartbeatMs @3 :UInt32;
  # Interval of heartbeats.
  leaseMs @4 :UInt32;
  # Without a HeartbeatAck for so long the agent ends its attempts.
  wallMs @5 :Int64;
  # The controller's clock. 0: not known.
}

struct Refused {
  nonce @0 :UInt64;
  reason @1 :Text;
  # For a person; at most 4 KiB.
  retryMs @2 :UInt32;
  # The agent tries again no sooner.
}

struct Reregister {
  session @0 :UInt64;
  # The one that the controller does not know.
}

struct HeartbeatAck {
  session @0 :UInt64;
  sequence @1 :UInt64;
  # Of the heartbeat it answers: the lease counts from the sending of that one.
}

struct Assign {
  session @0 :UInt64;
  attempt :group {
    job @1 :UInt64;
    epoch @2 :UInt64;
  }
  run @3 :UInt64;
  runName @4 :Text;
  # "fashion#42".
  shard @5 :UInt32;
  # From 0, below spec.shards.
  spec @6 :JobSpec;
  # Always present.
  gpuUuids @7 :List(Text);
  # Devices that are its own; at most 1,024. Absent: none.
  commit @8 :Text;
  # Full hex. Absent: not from a repository.
  branch @9 :Text;
  # Absent: none.
  trees @10 :Data;
  # Hashes; put into the workspace in this order, a later one wins. At most 8,192. Absent: an empty workspace.
  metrics @11 :List(Metric);
  # Of the needed jobs, for check steps; at most 100,000.
  logQuotaBytes @12 :UInt64;
  # The attempt ends with logQuota above it.
}
# Repeated while heartbeats do not show the attempt.

struct Kill {
  session @0 :UInt64;
  attempt :group {
    job @1 :UInt64;
    epoch @2 :UInt64;
  }
  reason @3 :Text;
  # For a person; at most 4 KiB.
  forget @4 :Bool;
  # Stale: nobody wants its report.
}
# Repeated while heartbeats show the attempt.

struct FinishedAck {
  session @0 :UInt64;
  attempt :group {
    job @1 :UInt64;
    epoch @2 :UInt64;
  }
}
# On record, or refused as stale: forget the attempt and delete its spool.

struct MetricsAck {
  session @0 :UInt64;
  attempt :group {
    job @1 :UInt64;
    epoch @2 :UInt64;
  }
  count @3 :UInt64;
  # Lines below this index are on record.
}

struct ToAgent {
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
