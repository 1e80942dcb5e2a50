@0xde7dd94e6d9d9197;
# Defines a pipeline as the farm understands it, the sources that it came from, and the mistakes in a file: parts of
# messages and records. Words for features that are not yet built never reach these types: the parser refuses them with
# "not yet".
#
# For every schema here: Text is UTF-8 without NUL. The writer and the reader both refuse a count or text above its cap,
# a number out of range, and an enum value or union member that this build does not know. Times of day are milliseconds
# since 1970 UTC, for people only; 0: not known.

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("furrow::wire");

using import "annotations.capnp".arm;
using import "annotations.capnp".cxx;
using import "annotations.capnp".each;
using import "annotations.capnp".initial;
using import "annotations.capnp".json;
using import "annotations.capnp".key;
using import "annotations.capnp".map;
using import "annotations.capnp".max;
using import "annotations.capnp".message;
using import "annotations.capnp".millis;
using import "annotations.capnp".min;
using import "annotations.capnp".optional;
using import "annotations.capnp".without;

const maxAddressBytes :UInt64 = 4096;
# Bytes of a path, an address or a ref.
const maxSpecTextBytes :UInt64 = 8388608;
# Bytes of one script, argument or value of a pipeline.
const maxListed :UInt64 = 10000;
# Entries of a list: needs, labels, artifacts, arguments, variables, steps, rules.
const maxPipelineBytes :UInt64 = 1048576;
# Bytes of a furrow.yaml.
const maxJobs :UInt64 = 10000;
# Jobs of a pipeline.
const maxShards :UInt64 = 100000;
# Shards of all jobs of a pipeline together.

const maxSourceNotes :UInt64 = 100;
const maxSourceNoteBytes :UInt64 = 4096;

struct Resources {
  cpuMilli @0 :UInt32 $initial("1000");
  # Thousandths of a CPU.
  gpuMilli @1 :UInt32;
  # Thousandths of a GPU: below 1000 a share of one, else whole GPUs; 0: none.
  gpuModel @2 :Text;
  # The "a100" of `gpus: "a100:2"`: the GPU's model name must contain it, in any case. Absent: any model.
  gpuMemoryBytes @3 :UInt64;
  # Bytes on each GPU. 0: no demand.
  memoryBytes @4 :UInt64;
  # Bytes of the machine's memory. 0: no demand.
}

struct RetryRule {
  max @0 :UInt32 $initial("2");
  # Further attempts after the first.
  onAgentLost @1 :Bool $initial("true");
  # Retries after the agent died or was away for longer than its lease.
  onFailure @2 :Bool;
  # Retries after any exit status but 0.
  exitCodes @3 :List(Int32) $max(256);
  # Retries after these exit statuses, 1 to 255.
}

struct EnvVar {
  name @0 :Text $min(1) $without("=");
  value @1 :Text $max(.maxSpecTextBytes);
}

enum Comparison {
  less @0;
  lessEqual @1;
  greater @2;
  greaterEqual @3;
  equal @4;
}

struct MetricRule {
  # A MetricRule is a rule such as accuracy: ">= 0.80".
  metric @0 :Text;
  # Name of a metric of a needed job.
  comparison @1 :Comparison $initial("Comparison::kGreaterEqual");
  bound @2 :Float64;
}

struct Step {
  name @0 :Text $max(.maxSpecTextBytes);
  # Name as given, or made from the step's kind and words; for people.
  action :union {
    none @1 :Void;
    # Never sent: a reader sees this member if the union is missing, and refuses the message.
    run @2 :Text $max(.maxSpecTextBytes) $arm("RunStep.script");
    # Text for `bash -euo pipefail -c` (sh where there is no bash).
    exec @3 :List(Text) $min(1) $max(.maxListed) $each(.maxSpecTextBytes) $arm("ExecStep.argv");
    # A program and its arguments, without a shell.
    torch :group $cxx("TorchStep") {
      # A step of furrow-torch: train: or evaluate:.
      verb @4 :Text;
      # "train" or "evaluate".
      specJson @5 :Text $max(.maxSpecTextBytes);
      # The step's mapping as one JSON object, validated by agent/torch/SPEC.md, which defines the defaults of missing
      # keys.
    }
    check @6 :List(MetricRule) $max(.maxListed) $arm("CheckStep.rules");
    # All rules must hold for the metrics of the needed jobs.
  }
}

struct JobSpec {
  name @0 :Text $min(1);
  # [A-Za-z0-9_-]{1,64}, not beginning with -; unique in its pipeline.
  needs @1 :List(Text) $max(.maxListed);
  # Names of jobs of the same pipeline; no cycle.
  resources @2 :Resources;
  labels @3 :List(Text) $max(.maxListed);
  # The agent must carry all of them.
  env @4 :List(EnvVar) $map $max(.maxListed);
  # The pipeline's variables with the job's on top.
  timeoutMs @5 :UInt64 $millis $max(9007199254740992);
  # Wall time of one attempt. 0: no limit.
  retry @6 :RetryRule;
  shards @7 :UInt32 $min(1) $max(.maxShards) $initial("1");
  allowFailure @8 :Bool;
  # true: a failure of this job does not fail the run, and jobs that need it still start.
  artifacts @9 :List(Text) $max(.maxListed) $each(.maxSpecTextBytes);
  # Patterns relative to the workspace, without `.`, `..`, doubled or trailing slashes, and without braces. Those behind
  # `!` exclude; the last one that matches decides.
  steps @10 :List(Step) $min(1) $max(.maxListed);
  # The steps run in this order.
}

struct PushTrigger {
  # A PushTrigger is the mapping under on: push:.
  branches @0 :List(Text) $max(.maxListed) $each(.maxAddressBytes);
  # Patterns over the branch's name. Empty: every branch.
  paths @1 :List(Text) $max(.maxListed) $each(.maxAddressBytes);
  # Patterns over changed paths. Empty: every change.
}

struct PipelineSpec $cxx("Pipeline") {
  # The name is not "Pipeline", because Cap'n Proto's C++ has a class of that name in every struct.
  name @0 :Text $min(1);
  # [A-Za-z0-9_.-]{1,64}, beginning with neither - nor a dot.
  onPush @1 :PushTrigger $optional;
  # Absent: a push starts nothing.
  jobs @2 :List(JobSpec) $min(1) $max(.maxJobs);
  # The jobs are in the file's order.
}

struct SourceInfo $json {
  # A SourceInfo says where the sources of a run come from. Every text may be absent: not known.
  repository @0 :Text $max(.maxAddressBytes);
  # Path or address.
  ref @1 :Text $max(.maxAddressBytes);
  # "refs/heads/main".
  branch @2 :Text $max(.maxAddressBytes);
  # "main".
  commit @3 :Text;
  # Full hex.
  title @4 :Text $message;
  # The commit's first line.
  author @5 :Text $message;
  # Author as the commit names them.
  dirty @6 :Bool;
  # true: the working copy has changes that are not in the commit.
  origin @7 :Text $max(.maxAddressBytes) $key("");
  # Repository that `repository` is a clone of. Absent: none is known.
  file @8 :Text $max(.maxAddressBytes) $key("");
  # Path of the pipeline file in the repository or folder.
  notes @9 :List(Text) $max(.maxSourceNotes) $each(.maxSourceNoteBytes);
  # How the files differ from what the commit holds: one line each, for people.
}

struct Diagnostic $json {
  # A Diagnostic is one mistake in a file: its position and what would be right.
  line @0 :UInt32 $max(2147483647);
  # From 1. 0: the file as a whole.
  column @1 :UInt32 $max(2147483647);
  # From 1, in characters. 0: the line as a whole.
  message @2 :Text $message;
}
