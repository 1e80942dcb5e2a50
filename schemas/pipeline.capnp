@0xde7dd94e6d9d9197;
# A pipeline as the farm understands it, and the sources it came from: common/pipeline/pipeline.h on wire and disk.
# Used by agent.capnp (Assign), client.capnp and record.capnp.
#
# For every file here: Text is UTF-8 without NUL. A count or text above its cap, an enum value or union
# member that this build does not know, is refused by the decoder (common/wire/codec.h, kInvalid).

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("furrow::wire");

struct Resources {
  cpuMilli @0 :UInt32;
  # Thousandths of a CPU.
  gpuMilli @1 :UInt32;
  # Thousandths of a GPU: below 1000 a share of one, else whole ones; 0: none.
  gpuModel @2 :Text;
  # Found in the model's name, in any case. Absent: any model.
  gpuMemoryBytes @3 :UInt64;
  # On each GPU. 0: no demand.
  memoryBytes @4 :UInt64;
  # Of the machine. 0: no demand.
}

struct RetryRule {
  max @0 :UInt32;
  # Further attempts after the first.
  onAgentLost @1 :Bool;
  # The agent died or was away for longer than its lease.
  onFailure @2 :Bool;
  # Any exit status but 0.
  exitCodes @3 :List(Int32);
  # These exit statuses; at most 256. Absent: none.
}

struct EnvVar {
  name @0 :Text;
  # Not empty, without "=", once in its list.
  value @1 :Text;
}

enum Comparison {
  less @0;
  lessEqual @1;
  greater @2;
  greaterEqual @3;
  equal @4;
}

struct MetricRule {
  metric @0 :Text;
  # Name of a metric of a needed job.
  comparison @1 :Comparison;
  bound @2 :Float64;
}

struct Step {
  name @0 :Text;
  # For people. Absent: none.
  action :union {
    none @1 :Void;
    # Never sent; what a reader sees where the union is missing. Refused.
    run @2 :Text;
    # Text for `bash -euo pipefail -c`.
    exec @3 :List(Text);
    # argv; at least one, the first not empty.
    torch :group {
      verb @4 :Text;
      # "train" or "evaluate".
      specJson @5 :Text;
      # The step's mapping as one JSON object, keys validated.
    }
    check @6 :List(MetricRule);
    # All must hold for the metrics of the needed jobs.
  }
}

struct JobSpec {
  name @0 :Text;
  # Once in its pipeline; not empty.
  needs @1 :List(Text);
  # Names of jobs of the same pipeline.
  resources @2 :Resources;
  # Always present.
  labels @3 :List(Text);
  # The agent must carry all of them.
  env @4 :List(EnvVar);
  # Sorted by name. The pipeline's with the job's on top.
  timeoutMs @5 :UInt64;
  # Milliseconds of wall time, at most 2^53. 0: none.
  retry @6 :RetryRule;
  # Always present.
  shards @7 :UInt32;
  # 1 to 100,000.
  allowFailure @8 :Bool;
  # Its failure does not fail the run.
  artifacts @9 :List(Text);
  # Paths or globs relative to the workspace.
  steps @10 :List(Step);
  # At least one, in order.
}

struct PushTrigger {
  branches @0 :List(Text);
  # Globs over the branch's name. Absent: every branch.
  paths @1 :List(Text);
  # Globs over changed paths. Absent: every change.
}

struct PipelineSpec {
  # Not "Pipeline": the generated C++ has a class of that name in every struct.
  name @0 :Text;
  # Not empty.
  onPush @1 :PushTrigger;
  # Absent: a push starts nothing.
  jobs @2 :List(JobSpec);
  # In the file's order; 1 to 10,000.
}

struct SourceInfo {
  repository @0 :Text;
  # Path or address.
  ref @1 :Text;
  # "refs/heads/main".
  branch @2 :Text;
  # "main".
  commit @3 :Text;
  # Full hex.
  title @4 :Text;
  # The commit's first line; at most 4 KiB, longer ones are cut when sent.
  author @5 :Text;
  # As the commit names them; at most 4 KiB, cut like title.
  dirty @6 :Bool;
  # A working copy with changes that are not in the commit.
}
# Where the sources of a run come from. Every text may be absent: not known.
