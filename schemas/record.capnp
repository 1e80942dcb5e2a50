@0x897a59756f6ce72c;
# What the controller remembers on disk: controller/state/records.h as values of the store. controller/STORE.md says
# under which keys. Times of day and hashes as in agent.capnp.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("furrow::wire");

using import "agent.capnp".Metric;
using import "agent.capnp".MetricLine;
using import "agent.capnp".Offer;
using import "agent.capnp".Outcome;
using import "client.capnp".JobState;
using import "client.capnp".RunState;
using import "pipeline.capnp".PipelineSpec;
using import "pipeline.capnp".SourceInfo;
using import "enrol.capnp".KeyRole;

enum LogPlace {
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
  hash @1 :Data;
  # SHA-256 of the whole log.
  place @2 :LogPlace;
  pack @3 :UInt32;
  # Number of the run's pack file; only with place pack.
  offset @4 :UInt64;
  # Of the frame in the pack, bytes; only with place pack.
}

struct AttemptRecord {
  epoch @0 :UInt64;
  agent @1 :Text;
  gpuUuids @2 :List(Text);
  startedMs @3 :Int64;
  # 0: no process ever ran.
  endedMs @4 :Int64;
  outcome @5 :Outcome;
  # Always present.
  cpuMs @6 :UInt64;
  # Milliseconds.
  maxRssBytes @7 :UInt64;
  log @8 :LogRecord;
  # Absent: no log.
  artifacts @9 :Data;
  # Hash of a tree. Absent: none.
}

struct RunRecord {
  id @0 :UInt64;
  number @1 :UInt64;
  request :group {
    high @2 :UInt64;
    low @3 :UInt64;
  }
  # Of the submission that made it.
  pipeline @4 :PipelineSpec;
  # Always present.
  source @5 :Data;
  # Hash of a tree. Absent: none.
  info @6 :SourceInfo;
  # Absent: nothing is known.
  submittedMs @7 :Int64;
  endedMs @8 :Int64;
  # 0: not yet.
  state @9 :RunState;
  note @10 :Text;
  # For a person; at most 4 KiB.
  firstJob @11 :UInt64;
  # Its jobs are numbered on from here.
  retryOf @12 :UInt64;
  # Run that it repeats. 0: none.
  cancelling @13 :Bool;
  # Somebody asked to end it.
  jobsPassed @14 :UInt32;
  # Shards; counted when the run has ended.
  jobsFailed @15 :UInt32;
}

struct JobRecord {
  id @0 :UInt64;
  run @1 :UInt64;
  state @2 :JobState;
  epoch @3 :UInt64;
  # Of the newest assignment.
  agent @4 :Text;
  # That it is assigned to. Absent: to none.
  incarnation :group {
    high @5 :UInt64;
    low @6 :UInt64;
  }
  # Of that agent's state folder.
  gpuUuids @7 :List(Text);
  # Its own on that agent.
  readyMs @8 :Int64;
  assignedMs @9 :Int64;
  startedMs @10 :Int64;
  retries @11 :UInt32;
  # Attempts that counted against the retry rule.
  attempts @12 :List(AttemptRecord);
  # Ended ones, oldest first.
  metrics @13 :List(Metric);
  # Newest value of each name.
  cancelling @14 :Bool;
  # Somebody asked to end it; its agent has yet to report.
  reusedRun @15 :UInt64;
  # Taken over from this run by a retry: its log lies there. 0: its own.
  reusedJob @16 :UInt64;
  # The job of that run.
}

struct MetricsRecord {
  attempt :group {
    job @0 :UInt64;
    epoch @1 :UInt64;
  }
  first @2 :UInt64;
  # Index of the first line.
  lines @3 :List(MetricLine);
}

struct SealRecord {
  attempt :group {
    job @0 :UInt64;
    epoch @1 :UInt64;
  }
  log @2 :LogRecord;
  # Always present.
}

struct AgentRecord {
  name @0 :Text;
  host @1 :Text;
  software @2 :Text;
  incarnation :group {
    high @3 :UInt64;
    low @4 :UInt64;
  }
  # Of its state folder when it last registered.
  offer @5 :Offer;
  # Its last one.
  lastSeenMs @6 :Int64;
  machine :group {
    high @7 :UInt64;
    low @8 :UInt64;
  }
  boot :group {
    high @9 :UInt64;
    low @10 :UInt64;
  }
  # As in its last Register; 0: not known.
  drained @11 :Bool;
  # Gets no new jobs.
  leaseMs @12 :UInt64;
  # It may run jobs without us for so long; 0: not known.
}

struct EnrolmentUseRecord {
  publicKey @0 :Text;
  # Of the agent that was let in.
  name @1 :Text;
  atMs @2 :Int64;
  # When it proved the secret.
  letIn @3 :Bool;
  # Its key was put on the allowlist, so that it is missing there only if it was revoked since.
}

struct EnrolmentRecord {
  id @0 :UInt64;
  verifyKey @1 :Data;
  # Checks proofs; the secret itself is nowhere but in the line.
  labels @2 :List(Text);
  uses @3 :UInt32;
  # How many agents it lets in.
  used @4 :List(EnrolmentUseRecord);
  # On record before its key is let in.
  madeMs @5 :Int64;
  expiresMs @6 :Int64;
  revokedMs @7 :Int64;
  # 0: it was not.
}

struct KeyRecord {
  publicKey @0 :Text;
  role @1 :KeyRole;
  name @2 :Text;
  sinceMs @3 :Int64;
  # When it was first seen on the allowlist.
  enrolment @4 :UInt64;
  # That let it in. 0: a person put it there.
}

struct TriggerRecord {
  request :group {
    high @0 :UInt64;
    low @1 :UInt64;
  }
  repository @2 :Text;
  ref @3 :Text;
  oldCommit @4 :Text;
  # Full hex; zeros: the ref is new.
  newCommit @5 :Text;
  # Full hex; zeros: the ref was deleted.
}

struct Ref {
  name @0 :Text;
  # "refs/heads/main".
  commit @1 :Text;
  # Full hex.
}

struct RepositoryRecord {
  repository @0 :Text;
  refs @1 :List(Ref);
  # Sorted by name, each once.
  looked @2 :Bool;
  # Its refs were read once: from then on an unknown ref is a push.
}

struct Record {
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
