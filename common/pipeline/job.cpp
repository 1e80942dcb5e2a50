#include "common/pipeline/job.h"

#include <algorithm>
#include <string>
#include <utility>
#include <variant>

#include "common/pipeline/pattern.h"
#include "common/pipeline/steps.h"
#include "common/pipeline/values.h"

namespace furrow::pipeline {

namespace {

using Kind = YamlNode::Kind;

// Sets `target` from the scalar at `key` by `parse`, or reports the error of `parse`.
template <class Value>
void ReadValue(Fields& fields, std::string_view key, Result<Value> (*parse)(std::string_view), Value& target) {
  const YamlNode* node = fields.Find(key);
  if (!node) return;
  auto value = parse(node->kind == Kind::kScalar ? std::string_view(node->text) : std::string_view());
  if (node->kind == Kind::kList || node->kind == Kind::kMap) {
    const bool map = node->kind == Kind::kMap;
    fields.Wrong(key, "must be one value, not " + std::string(map ? "a mapping" : "a list"));
  } else if (!value) {
    fields.Wrong(key, value.error().message);
  } else if (!node->plain && ParseNumber(node->text)) {
    WrongNumber(*node, fields.Named(key), "a number", fields.report());
  } else {
    target = std::move(*value);
  }
}

Resources ReadResources(Fields& job) {
  Resources resources;
  const YamlNode* node = job.Find("resources");
  if (!node) return resources;
  Fields fields(*node, Scope::kResources, job.Named("resources"), node->position, job.report());
  ReadValue(fields, "cpus", ParseCpus, resources.cpu_milli);
  ReadValue(fields, "memory", ParseSize, resources.memory_bytes);
  ReadValue(fields, "gpu_memory", ParseSize, resources.gpu_memory_bytes);
  Gpus gpus;
  ReadValue(fields, "gpus", ParseGpus, gpus);
  resources.gpu_milli = gpus.milli;
  resources.gpu_model = std::move(gpus.model);
  if (fields.Has("gpu_memory") && !fields.Has("gpus")) {
    fields.Wrong("gpu_memory", "asks for memory of a GPU but no GPU; add `gpus: 1`");
  }
  return resources;
}

void ReadRetryOn(Fields& retry, RetryRule& rule) {
  constexpr std::string_view kExample = "[agent_lost, failure, 75]";
  rule.on_agent_lost = false;  // only the causes that the file names count
  for (const YamlNode* item : retry.TextList("on", kExample)) {
    if (item->text == "agent_lost") {
      rule.on_agent_lost = true;
    } else if (item->text == "failure") {
      rule.on_failure = true;
    } else if (const auto code = IntegerOf(*item)) {
      if (*code >= 1 && *code <= 255) {
        rule.exit_codes.push_back(static_cast<int>(*code));
      } else {
        WrongKind(*item, "an exit status in " + retry.Named("on"), "a whole number from 1 to 255", retry.report());
      }
    } else if (ParseNumber(item->text)) {
      WrongNumber(*item, "an exit status in " + retry.Named("on"), "a whole number from 1 to 255", retry.report());
    } else if (item->text == "preempted") {
      retry.report().Add(item->position, NotYet("preempted"));
    } else if (const auto nearest = NearestWord(item->text, {"agent_lost", "failure", "preempted"})) {
      retry.report().Add(item->position, "unknown cause " + Quoted(item->text) + " in " + retry.Named("on") +
                                             "; did you mean " + Quoted(*nearest) + "?");
    } else {
      retry.report().Add(item->position,
                         Quoted(item->text) +
                             " looks like a pattern in the log, which is known but not yet built; use " +
                             Quoted("agent_lost") + ", " + Quoted("failure") + " or the number of an exit status");
    }
  }
}

RetryRule ReadRetry(Fields& job) {
  RetryRule rule;
  const YamlNode* node = job.Find("retry");
  if (!node) return rule;
  if (node->kind != Kind::kMap) {
    WrongKind(*node, job.Named("retry"), "a mapping such as { max: 2, on: [agent_lost] }", job.report());
    return rule;
  }
  Fields retry(*node, Scope::kRetry, job.Named("retry"), node->position, job.report());
  if (const auto max = retry.Integer("max", 0, 100)) rule.max = static_cast<std::uint32_t>(*max);
  if (retry.Has("on")) ReadRetryOn(retry, rule);
  return rule;
}

std::uint32_t ReadShards(Fields& job) {
  const YamlNode* node = job.Find("shards");
  if (!node) return 1;
  const bool automatic =
      node->kind == Kind::kMap && std::any_of(node->entries.begin(), node->entries.end(),
                                              [](const auto& entry) { return entry.key->text == "auto"; });
  if (automatic || (node->kind == Kind::kScalar && node->text == "auto")) {
    job.Wrong("shards", "by `auto` is known but not yet built; give a number");
    return 1;
  }
  return static_cast<std::uint32_t>(job.Integer("shards", 1, kMaxShards).value_or(1));
}

// A job sees the GPUs that it asks for and no others, so its step would fail when it comes to run.
void RefuseDeviceWithoutGpu(Fields& fields, const JobSpec& job) {
  if (job.resources.gpu_milli > 0) return;
  for (const Step& step : job.steps) {
    const auto* torch = std::get_if<TorchStep>(&step.action);
    // The quotes of a text's own are escaped, so this is the step's key.
    if (torch == nullptr || torch->spec_json.find(R"("device":"cuda")") == std::string::npos) continue;
    fields.Wrong("steps",
                 "has `device: cuda`, but the job asks for no GPU; add `resources: { gpus: 1 }`, or use "
                 "`device: auto`");
    return;
  }
}

}  // namespace

void ReadEnv(Fields& fields, Env& env) {
  const YamlNode* node = fields.Find("env");
  if (!node) return;
  const std::string what = fields.Named("env");
  if (node->kind != Kind::kMap) return WrongKind(*node, what, "a mapping such as { EPOCHS: \"2\" }", fields.report());
  for (const auto& [key, value] : node->entries) {
    if (!IsEnvName(key->text)) {
      fields.report().Add(key->position,
                          Quoted(key->text) + " in " + what +
                              " is no name of a variable: letters, digits and _, not beginning with a digit");
    } else if (IsReservedEnv(key->text)) {
      fields.report().Add(key->position,
                          Quoted(key->text) + " in " + what + " is set by Furrow itself; " + CureOfReserved(key->text));
    } else if (value->kind == Kind::kNull) {
      fields.report().Add(key->position,
                          Quoted(key->text) + " in " + what + " has no value; write \"\" for an empty one");
    } else if (value->kind != Kind::kScalar) {
      WrongKind(*value, Quoted(key->text) + " in " + what, "a text", fields.report());
    } else if (key->text.size() + 1 + value->text.size() > kMaxArgumentBytes) {
      fields.report().Add(value->position, Quoted(key->text) + " in " + what + " is too long for a variable (" +
                                               std::to_string(kMaxArgumentBytes) +
                                               " bytes at most); keep it in a file");
    } else if (const std::string why = WhyNotLiteral(key->text, value->text); !why.empty()) {
      fields.report().Add(value->position, Quoted(key->text) + " in " + what + " " + why);
    } else {
      env[key->text] = value->text;
    }
  }
}

std::vector<std::string> ReadPatterns(Fields& fields, std::string_view key, std::string_view example, PatternUse use) {
  std::vector<std::string> patterns;
  bool good = true;
  for (const YamlNode* item : fields.List(key, example)) {
    if (item->kind != Kind::kScalar || item->text.empty()) {
      good = false;
      const char mark = item->kind == Kind::kMap ? '{' : '[';
      WrongKind(*item, "an item of " + fields.Named(key),
                item->kind == Kind::kScalar ? "a text" : "a text; one with `" + std::string{mark} + "` needs quotes",
                fields.report());
      continue;
    }
    auto read = ReadPattern(item->text, use);
    if (!read) {
      good = false;
      fields.report().Add(item->position, (use == PatternUse::kArtifacts
                                               ? "an artifact of " + fields.where()
                                               : "the pattern " + Quoted(item->text) + " of " + fields.Named(key)) +
                                              " " + read.error().message);
      continue;
    }
    patterns.insert(patterns.end(), read->begin(), read->end());
  }
  if (patterns.size() > kMaxListed) {
    fields.Wrong(key, "stands for over " + std::to_string(kMaxListed) + " patterns");
  } else if (const Status list = CheckPatterns(patterns, use); good && !list) {
    fields.Wrong(key, list.error().message);
  }
  return patterns;
}

JobSpec ReadJob(const YamlNode& key, const YamlNode& value, const Env& base_env, JobPositions& positions,
                Report& report) {
  JobSpec job;
  job.name = key.text;
  job.env = base_env;
  positions.job = key.position;
  if (!IsName(key.text, /*dots=*/false)) {
    report.Add(key.position,
               Quoted(key.text) + " is no name for a job: 1 to 64 letters, digits, _ and -, not beginning with -");
  }
  const std::string where = "job " + Quoted(key.text);
  if (value.kind == Kind::kNull) {
    report.Add(key.position, where + " is empty; it needs `steps`, such as `steps: [{ run: make }]`");
    return job;
  }
  Fields fields(value, Scope::kJob, where, key.position, report);
  if (!fields.is_map()) return job;

  for (const YamlNode* need : fields.TextList("needs", "[prepare]")) {
    job.needs.push_back(need->text);
    positions.needs.push_back(need->position);
  }
  job.resources = ReadResources(fields);
  for (const YamlNode* label : fields.TextList("labels", "[a100]")) {
    if (!IsName(label->text, /*dots=*/true)) {
      report.Add(
          label->position,
          Quoted(label->text) + " is no label that an agent can have: letters, digits, _ - . and at most 64 of them");
    }
    job.labels.push_back(label->text);
  }
  ReadEnv(fields, job.env);
  ReadValue(fields, "timeout", ParseDuration, job.timeout);
  job.retry = ReadRetry(fields);
  if (const YamlNode* shards = fields.Find("shards")) positions.shards = shards->position;
  job.shards = ReadShards(fields);
  job.allow_failure = fields.Bool("allow_failure").value_or(false);
  job.artifacts = ReadPatterns(fields, "artifacts", "[net.pt]", PatternUse::kArtifacts);
  job.steps = ReadSteps(fields, positions.files);
  RefuseDeviceWithoutGpu(fields, job);
  return job;
}

}  // namespace furrow::pipeline
