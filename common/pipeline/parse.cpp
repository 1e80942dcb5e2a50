#include <algorithm>
#include <utility>

#include "common/base/text.h"
#include "common/pipeline/job.h"
#include "common/pipeline/pattern.h"
#include "common/pipeline/pipeline.h"
#include "common/pipeline/values.h"

namespace furrow {

namespace {

using namespace pipeline;
using Kind = YamlNode::Kind;

// A job travels to its agent in one message, of which kMaxJobBytes leaves half to the job's inputs (see CheckNeeds).
// All jobs are one record. Aliases repeat a text that the file has once, and every job has its own copy of the file's
// variables: a small file may expand to gigabytes.
constexpr std::size_t kMaxJobBytes = 2 << 20;
constexpr std::size_t kMaxJobsBytes = 32 << 20;

// The name of a folder or repository may hold any character; the file's own name may not.
std::string MadeName(std::string_view text) {
  std::string name;
  for (const char c : text.substr(0, 64)) name += IsName(std::string{'a', c}, /*dots=*/true) ? c : '-';
  name.erase(0, name.find_first_not_of("-."));
  return name.empty() ? "pipeline" : name;
}

std::vector<std::string> ReadPushPatterns(Fields& fields, std::string_view key, std::string_view example,
                                          PatternUse use) {
  auto patterns = ReadPatterns(fields, key, example, use);
  const YamlNode* node = fields.Find(key);
  if (node && node->kind == Kind::kList && node->items.empty()) {
    fields.Wrong(key, "is empty; leave it out to mean all of them");
  }
  return patterns;
}

std::optional<PushTrigger> ReadOn(Fields& top, Report& report) {
  const YamlNode* node = top.Find("on");
  if (!node) return std::nullopt;
  if (node->kind != Kind::kMap) {
    WrongKind(*node, "`on`", "a mapping such as { push: { branches: [main] } }", report,
              "; write `on: { push: {} }` for every push");
    return std::nullopt;
  }
  if (node->entries.empty())
    report.Add(node->position, "`on` is empty; write `on: { push: {} }` for every push, or remove it");
  Fields on(*node, Scope::kOn, "`on`", node->position, report);
  const YamlNode* push_node = on.Find("push");
  if (!push_node) return std::nullopt;
  if (push_node->kind != Kind::kMap) {
    WrongKind(*push_node, on.Named("push"), "a mapping such as { branches: [main] }", report,
              "; write `push: {}` for every push");
    return std::nullopt;
  }
  Fields push(*push_node, Scope::kPush, "`on: push`", push_node->position, report);
  PushTrigger trigger;
  trigger.branches = ReadPushPatterns(push, "branches", "[main, \"release/*\"]", PatternUse::kBranches);
  trigger.paths = ReadPushPatterns(push, "paths", "[\"train/**\"]", PatternUse::kPaths);
  return trigger;
}

void CheckOverrides(const Env& overrides, Report& report) {
  for (const auto& [name, value] : overrides) {
    const std::string what = "--set " + Quoted(name + "=");
    if (!IsEnvName(name)) {
      report.Add({}, what + " is no name of a variable: letters, digits and _, not beginning with a digit");
    } else if (IsReservedEnv(name)) {
      report.Add({}, what + " is set by Furrow itself; " + CureOfReserved(name));
    } else if (!furrow::IsName(value)) {
      report.Add({}, what + " has a value that is not UTF-8, or with a NUL character");
    } else if (name.size() + 1 + value.size() > kMaxArgumentBytes) {
      report.Add({}, what + " is too long for a variable (" + std::to_string(kMaxArgumentBytes) +
                         " bytes at most); keep it in a file");
    } else if (const std::string why = WhyNotLiteral(name, value); !why.empty()) {
      report.Add({}, what + " " + why);
    }
  }
}

void ReadJobs(Fields& top, const Env& env, const Env& overrides, const SourceFiles* sources, Pipeline& pipeline,
              Report& report) {
  const YamlNode* node = top.Find("jobs");
  if (!node) return;
  if (node->kind != Kind::kMap || node->entries.empty()) {
    return WrongKind(*node, "`jobs`",
                     "a mapping with at least one job, such as { test: { steps: [{ run: make test }] } }", report);
  }
  if (node->entries.size() > kMaxJobs) {
    return report.Add(node->entries[kMaxJobs].key->position,
                      "a pipeline has at most " + std::to_string(kMaxJobs) + " jobs; use `shards`");
  }
  std::vector<JobPositions> positions(node->entries.size());
  std::uint64_t shards = 0;
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < node->entries.size(); ++i) {
    const auto& [key, value] = node->entries[i];
    JobSpec& job = pipeline.jobs.emplace_back(ReadJob(*key, *value, env, positions[i], report));
    for (const auto& [name, text] : overrides) job.env[name] = text;
    const std::size_t job_bytes = WireBytes(job);
    bytes += job_bytes;
    if (job_bytes > kMaxJobBytes) {
      report.Add(key->position,
                 "the texts and variables of this job take more than 2 MiB; keep large ones in files beside it");
    }
    if (bytes > kMaxJobsBytes) {
      return report.Add(key->position,
                        "the texts and variables of all jobs take more than 32 MiB from here on; keep large ones in "
                        "files beside it");
    }
    const bool fitted = shards <= kMaxShards;
    shards += job.shards;
    if (fitted && shards > kMaxShards) {
      report.Add(
          positions[i].shards.line > 0 ? positions[i].shards : positions[i].job,
          "a pipeline has at most " + std::to_string(kMaxShards) + " shards in all its jobs; this job exceeds that");
    }
  }
  CheckNeeds(pipeline.jobs, positions, report);
  if (sources == nullptr) return;
  std::vector<std::vector<FileUse>> uses;
  for (JobPositions& job : positions) uses.push_back(std::move(job.files));
  CheckFileUses(pipeline.jobs, uses, *sources, report);
}

void ReadTop(const YamlNode& root, const Env& overrides, const SourceFiles* sources, Pipeline& pipeline,
             Report& report) {
  if (root.kind == Kind::kNull) return report.Add({1, 1}, "the file is empty; it needs `jobs`");
  Fields top(root, Scope::kPipeline, "the file", root.position, report);
  if (!top.is_map()) return;
  if (const auto name = top.Text("name")) {
    pipeline.name = *name;
    if (!IsName(*name, /*dots=*/true)) {
      top.Wrong("name", "must be 1 to 64 letters, digits, _, - and dots, beginning with neither - nor a dot");
    }
  }
  pipeline.on_push = ReadOn(top, report);
  Env env;
  ReadEnv(top, env);
  top.Require("jobs", "`jobs: { test: { steps: [{ run: make test }] } }`");
  ReadJobs(top, env, overrides, sources, pipeline, report);
}

}  // namespace

ParsedPipeline ParsePipeline(std::string_view text, std::string_view default_name, const Env& overrides,
                             const SourceFiles* sources) {
  ParsedPipeline parsed;
  parsed.pipeline.name = MadeName(default_name);
  Report report;
  CheckOverrides(overrides, report);
  const YamlDocument document = ReadYaml(text, report);
  if (document.root) {
    ReadTop(*document.root, overrides, sources, parsed.pipeline, report);
  } else if (report.empty()) {
    report.Add({1, 1}, "the file is empty; it needs `jobs`");
  }
  parsed.diagnostics = report.Take();
  return parsed;
}

}  // namespace furrow
