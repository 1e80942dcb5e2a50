@0x897a59756f6ce72c;
# What the controller remembers on disk. controller/STORE.md says under which keys; a record replaces the one with the same
# key.

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
using import "annotations.capnp".time;
using import "annotations.capnp".uuid;
using import "annotations.capnp".variant;

using import "agent.capnp".Metric;
using import "agent.capnp".MetricLine;
using import "agent.capnp".Offer;
using import "agent.capnp".Outcome;
using import "client.capnp".Drain;
using import "client.capnp".JobState;
using import "client.capnp".RunState;
using import "pipeline.capnp".PipelineSpec;
using import "pipeline.capnp".SourceInfo;
using import "enrol.capnp".KeyRole;
using Agent = import "agent.capnp";
using Enrol = import "enrol.capnp";
using Pipeline = import "pipeline.capnp";

enum LogStorage {
  # Where the bytes of a sealed log lie.
  none @0;
  # Nothing is stored: the log is empty.
  ownFile @1;
  # The attempt's own file, found by its name.
  pack @2;
  # A frame in one of the run's pack files.
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
    # Of the frame in the pack, bytes; only with storage pack.
  }
}

struct AttemptRecord {
  # One ended attempt.
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
  # Of a tree. Absent: none.
}

struct RunRecord {
  # A run as it was accepted, and how it ended. Written at both moments.
  id @0 :UInt64 $id("RunId");
  number @1 :UInt64;
  request :group $uuid {
    high @2 :UInt64;
    low @3 :UInt64;
  }
  # Of the submission that made it.
  pipeline @4 :PipelineSpec;
  source @5 :Data $hash;
  # Of a tree. Absent: none.
  info @6 :SourceInfo;
  submittedMs @7 :Int64 $time;
  endedMs @8 :Int64 $time;
  # 0: not yet.
  state @9 :RunState;
  note @10 :Text $message;
  firstJob @11 :UInt64 $id("JobId");
  # Its jobs are numbered on from here.
  retryOf @12 :UInt64 $id("RunId");
  # Run that it repeats. 0: none.
  jobsPassed @14 :UInt32;
  # Shards; counted when the run has ended.
  jobsFailed @15 :UInt32;
  cancelling @13 :Bool;
  # Somebody asked to end it.
}

struct JobRecord {
  # A job that has left its first state; jobs without a record are blocked or ready with epoch 0.
  id @0 :UInt64 $id("JobId");
  run @1 :UInt64 $id("RunId");
  state @2 :JobState;
  epoch @3 :UInt64 $id("Epoch");
  # Of the newest assignment; durable before it leaves.
  agent @4 :Text;
  # That it is assigned to. Absent: to none.
  incarnation :group $uuid {
    high @5 :UInt64;
    low @6 :UInt64;
  }
  # Of that agent's state folder.
  gpuUuids @7 :List(Text) $max(Agent.maxGpus);
  # Its own on that agent.
  cancelling @14 :Bool;
  # Somebody asked to end it; its agent has yet to report.
  readyMs @8 :Int64 $time;
  assignedMs @9 :Int64 $time;
  startedMs @10 :Int64 $time;
  retries @11 :UInt32;
  # Attempts that counted against the retry rule.
  reusedRun @15 :UInt64 $id("RunId");
  # Taken over from this run by a retry: its log lies there. 0: its own.
  reusedJob @16 :UInt64 $id("JobId");
  # The job of that run.
  attempts @12 :List(AttemptRecord) $max(1000000);
  # Ended ones, oldest first.
  metrics @13 :List(Metric) $max(1000000);
  # Newest value of each name.
}

struct MetricsRecord {
  # Lines [first, first + lines) of an attempt's metrics.
  attempt :group $attempt {
    job @0 :UInt64;
    epoch @1 :UInt64;
  }
  first @2 :UInt64;
  # Index of the first line.
  lines @3 :List(MetricLine) $max(Agent.maxMetricLines);
}

struct SealRecord {
  # The log of a running attempt was sealed by the bulk channel; its Finished has not come yet.
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
  # Of its state folder when it last registered.
  offer @5 :Offer;
  # Its last one.
  lastSeenMs @6 :Int64 $time;
  machine :group $uuid {
    high @7 :UInt64;
    low @8 :UInt64;
  }
  # As in its last Register; 0: not known.
  boot :group $uuid {
    high @9 :UInt64;
    low @10 :UInt64;
  }
  drained @11 :Bool;
  # Gets no new jobs.
  leaseMs @12 :UInt64 $millis $max(31622400000);
  # It may run jobs without us for so long; 0: not known.
  drain @13 :Drain;
  # Empty unless it is drained.
}

struct EnrolmentUseRecord {
  publicKey @0 :Text;
  # Of the agent that was let in.
  name @1 :Text;
  atMs @2 :Int64 $time;
  # When it proved the secret.
  admitted @3 :Bool;
  # Its key was put on the allowlist, so that it is missing there only if it was revoked since.
}

struct EnrolmentRecord {
  # One line of `furrow enrol new`, and whom it let in.
  id @0 :UInt64 $id("EnrolmentId");
  verifyKey @1 :Data $hash;
  # Checks proofs; the secret itself is nowhere but in the line.
  labels @2 :List(Text) $max(Enrol.maxEnrolmentLabels);
  uses @3 :UInt32;
  # How many agents it lets in.
  used @4 :List(EnrolmentUseRecord) $max(Enrol.maxEnrolmentUses);
  # On record before its key is let in.
  madeMs @5 :Int64 $time;
  expiresMs @6 :Int64 $time;
  revokedMs @7 :Int64 $time;
  # 0: it was not.
}

struct KeyRecord {
  # What is known of a key of the allowlist, beside the line itself.
  publicKey @0 :Text;
  role @1 :KeyRole $initial("KeyRole::kClient");
  name @2 :Text;
  sinceMs @3 :Int64 $time;
  # When it was first seen on the allowlist.
  enrolment @4 :UInt64 $id("EnrolmentId");
  # That let it in. 0: a person put it there.
}

struct TriggerRecord {
  # A push that was told and has not become a run yet.
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
}

struct Ref $cxx("RefRecord") {
  name @0 :Text $max(Pipeline.maxAddressBytes);
  # "refs/heads/main".
  commit @1 :Text;
  # Full hex.
}

struct RepositoryRecord {
  # A repository that is looked at for missed pushes, and the commits that were seen.
  repository @0 :Text $max(Pipeline.maxAddressBytes);
  refs @1 :List(Ref) $map $max(1000000);
  looked @2 :Bool;
  # Its refs were read once: from then on an unknown ref is a push.
}

struct Record $variant("Record") $noun("record") $frame(67108864) {
  union {
    none @0 :Void;
    # Never written; what a reader sees in an empty value. Refused.
    run @1 :RunRecord;
    job @2 :JobRecord;
    metrics @3 :MetricsRecord;
    seal @4 :SealRecord;
    agent @5 :AgentRecord;
    trigger @6 :TriggerRecord;
    repository @7 :RepositoryRecord;
    enrolment @8 :EnrolmentRecord;
    key @9 :KeyRecord;
  }
}
