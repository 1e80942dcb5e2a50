// A furrow.yaml as the farm understands it: parsed, validated, ready to become a run.
// Values only; owned by whoever holds them. Words whose machinery does not exist yet never reach
// these types: the parser refuses them with "not yet".
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "common/base/error.h"

namespace furrow {

// ---- what a job asks for -------------------------------------------------------------------------

struct Resources {
  std::uint32_t cpu_milli = 1000;      // thousandths of a CPU
  std::uint32_t gpu_milli = 0;         // thousandths of a GPU: below 1000 a share of one, else whole ones
  std::string gpu_model;               // "a100" of `gpus: "a100:2"`: found in the model's name, any case; empty: any
  std::uint64_t gpu_memory_bytes = 0;  // on each GPU; 0: no demand
  std::uint64_t memory_bytes = 0;      // of the machine; 0: no demand
  friend bool operator==(const Resources&, const Resources&) = default;
};

struct RetryRule {
  std::uint32_t max = 2;        // further attempts after the first, at most 100
  bool on_agent_lost = true;    // the agent died or was away for longer than its lease
  bool on_failure = false;      // any exit but 0
  std::vector<int> exit_codes;  // these exits, 1 … 255
  friend bool operator==(const RetryRule&, const RetryRule&) = default;
};

// ---- steps ---------------------------------------------------------------------------------------

struct RunStep {  // run: text for `bash -euo pipefail -c` (sh where bash is not)
  std::string script;
  friend bool operator==(const RunStep&, const RunStep&) = default;
};
struct ExecStep {                 // exec: argv, no shell
  std::vector<std::string> argv;  // at least one, the first not empty
  friend bool operator==(const ExecStep&, const ExecStep&) = default;
};
struct TorchStep {        // train: or evaluate: a step of furrow-torch
  std::string verb;       // "train" or "evaluate"
  std::string spec_json;  // the step's mapping as one JSON object, validated by agent/torch/SPEC.md,
                          // which has the defaults of what it leaves out
  friend bool operator==(const TorchStep&, const TorchStep&) = default;
};

enum class Comparison : std::uint8_t { kLess, kLessEqual, kGreater, kGreaterEqual, kEqual };
struct MetricRule {  // accuracy: ">= 0.80"
  std::string metric;
  Comparison comparison = Comparison::kGreaterEqual;
  double bound = 0;
  friend bool operator==(const MetricRule&, const MetricRule&) = default;
};
struct CheckStep {  // check: every rule must hold for the metrics of the needed jobs
  std::vector<MetricRule> rules;
  friend bool operator==(const CheckStep&, const CheckStep&) = default;
};

struct Step {
  std::string name;  // as given, or made from its kind and words; for people
  std::variant<RunStep, ExecStep, TorchStep, CheckStep> action;
  friend bool operator==(const Step&, const Step&) = default;
};

// ---- jobs ----------------------------------------------------------------------------------------

using Env = std::map<std::string, std::string>;

struct JobSpec {
  std::string name;                // [A-Za-z0-9_-]{1,64}, not beginning with -
  std::vector<std::string> needs;  // names of jobs of the same pipeline; no cycle
  Resources resources;
  std::vector<std::string> labels;       // the agent must carry all of them
  Env env;                               // the pipeline's with the job's on top
  std::chrono::milliseconds timeout{0};  // 0: none
  RetryRule retry;
  std::uint32_t shards = 1;            // 1 … kMaxShards
  bool allow_failure = false;          // its failure does not fail the run; jobs that need it still start
  std::vector<std::string> artifacts;  // paths or globs (*, ?, **) relative to the workspace, without `.`, `..`,
                                       // doubled or trailing slashes
  std::vector<Step> steps;             // at least one
  friend bool operator==(const JobSpec&, const JobSpec&) = default;
};

struct PushTrigger {                  // on: push:
  std::vector<std::string> branches;  // globs over the branch's name; empty: every branch
  std::vector<std::string> paths;     // globs over changed paths; empty: every change
  friend bool operator==(const PushTrigger&, const PushTrigger&) = default;
};

struct Pipeline {
  std::string name;                    // [A-Za-z0-9_.-]{1,64}, beginning with neither - nor a dot
  std::optional<PushTrigger> on_push;  // absent: a push starts nothing
  std::vector<JobSpec> jobs;           // in the file's order; at least one
  friend bool operator==(const Pipeline&, const Pipeline&) = default;
};

// One mistake in a file, where it stands and what would be right.
struct Diagnostic {
  int line = 0;    // from 1; 0: the file as a whole
  int column = 0;  // from 1, in characters
  std::string message;
  friend bool operator==(const Diagnostic&, const Diagnostic&) = default;
};

struct ParsedPipeline {
  Pipeline pipeline;                    // meaningful only if there are no diagnostics
  std::vector<Diagnostic> diagnostics;  // every mistake, in the file's order; past 1,000 only how many more
  bool ok() const { return diagnostics.empty(); }
};

// Largest furrow.yaml that is read, in bytes.
inline constexpr std::size_t kMaxPipelineBytes = 1 << 20;

// Most jobs of a pipeline, and most shards of all its jobs together.
inline constexpr std::size_t kMaxJobs = 10'000;
inline constexpr std::uint32_t kMaxShards = 100'000;

// Parses and validates the text of a furrow.yaml. `default_name` names the pipeline where the file
// does not (usually the repository's or folder's name; what a name may not have becomes -).
// `overrides` (--set K=V) replace env values of every job, or add to them. Never throws; every mistake
// is reported at once. Time grows with the text: a loop that must not block parses elsewhere.
ParsedPipeline ParsePipeline(std::string_view text, std::string_view default_name, const Env& overrides = {});

// "furrow.yaml:12:5: message", one a line: what a person sees.
std::string FormatDiagnostics(std::string_view file, const std::vector<Diagnostic>& diagnostics);

// Whether a glob matches the whole of `text`: * (not over /), ** (over /), ? (not /), everything else
// literally. `**/` at the start of a part is any number of folders, none too: **/a.py matches a.py.
bool GlobMatch(std::string_view glob, std::string_view text);

// Whether a push to `branch` that changed `changed_paths` starts a run.
bool PushStarts(const Pipeline& pipeline, std::string_view branch, const std::vector<std::string>& changed_paths);

}  // namespace furrow
