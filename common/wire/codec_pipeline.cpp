#include "common/wire/codec_pipeline.h"

#include <chrono>

#include "common/wire/codec.h"
#include "common/wire/codec_wire.h"

namespace furrow::codec {
namespace {

constexpr std::size_t kMaxListed = 10'000;  // needs, labels, artifacts, arguments, variables, steps, rules
constexpr std::size_t kMaxExitCodes = 256;
constexpr std::size_t kMaxGpus = 1024;
constexpr std::size_t kMaxOfferLabels = 1024;
constexpr std::uint64_t kMaxTimeoutMs = std::uint64_t{1} << 53;

static_assert(static_cast<int>(wire::Comparison::EQUAL) == static_cast<int>(Comparison::kEqual));
static_assert(static_cast<int>(wire::OutcomeKind::UPLOAD_FAILED) == static_cast<int>(OutcomeKind::kUploadFailed));

void Write(wire::Step::Builder to, const Step& step) {
  WriteText(step.name, [&](auto text) { to.setName(text); });
  auto action = to.getAction();
  if (const auto* run = std::get_if<RunStep>(&step.action)) {
    action.setRun(TextOf(run->script));
  } else if (const auto* exec = std::get_if<ExecStep>(&step.action)) {
    WriteTexts(exec->argv, [&](unsigned count) { return action.initExec(count); });
  } else if (const auto* torch = std::get_if<TorchStep>(&step.action)) {
    auto group = action.initTorch();
    group.setVerb(TextOf(torch->verb));
    group.setSpecJson(TextOf(torch->spec_json));
  } else {
    const auto& rules = std::get<CheckStep>(step.action).rules;
    auto list = action.initCheck(static_cast<unsigned>(rules.size()));
    for (unsigned i = 0; i < list.size(); ++i) {
      list[i].setMetric(TextOf(rules[i].metric));
      list[i].setComparison(WireEnum<wire::Comparison>(rules[i].comparison));
      list[i].setBound(rules[i].bound);
    }
  }
}

MetricRule Read(wire::MetricRule::Reader from) {
  return {ReadText(from.getMetric(), kNameBytes, "check metric"),
          ReadEnum(from.getComparison(), Comparison::kEqual, "comparison"), from.getBound()};
}

Step Read(wire::Step::Reader from) {
  Step step;
  step.name = ReadText(from.getName(), kSpecTextBytes, "step name");
  const auto action = from.getAction();
  switch (action.which()) {
    case wire::Step::Action::NONE: throw Malformed{"a step without an action"};
    case wire::Step::Action::RUN:
      step.action = RunStep{ReadText(action.getRun(), kSpecTextBytes, "script")};
      return step;
    case wire::Step::Action::EXEC: {
      ExecStep exec{ReadTexts(action.getExec(), kMaxListed, kSpecTextBytes, "argv")};
      if (exec.argv.empty() || exec.argv.front().empty()) throw Malformed{"an exec step without a program"};
      step.action = std::move(exec);
      return step;
    }
    case wire::Step::Action::TORCH: {
      const auto torch = action.getTorch();
      step.action = TorchStep{ReadText(torch.getVerb(), kNameBytes, "verb"),
                              ReadText(torch.getSpecJson(), kSpecTextBytes, "torch step")};
      return step;
    }
    case wire::Step::Action::CHECK:
      step.action = CheckStep{ReadList<MetricRule>(action.getCheck(), kMaxListed, "check rules",
                                                   [](wire::MetricRule::Reader rule) { return Read(rule); })};
      return step;
  }
  ThrowNewer();
}

}  // namespace

// ---- jobs and pipelines --------------------------------------------------------------------------------------

void Write(wire::JobSpec::Builder to, const JobSpec& spec) {
  to.setName(TextOf(spec.name));
  WriteTexts(spec.needs, [&](unsigned count) { return to.initNeeds(count); });

  auto resources = to.initResources();
  resources.setCpuMilli(spec.resources.cpu_milli);
  resources.setGpuMilli(spec.resources.gpu_milli);
  WriteText(spec.resources.gpu_model, [&](auto text) { resources.setGpuModel(text); });
  resources.setGpuMemoryBytes(spec.resources.gpu_memory_bytes);
  resources.setMemoryBytes(spec.resources.memory_bytes);

  WriteTexts(spec.labels, [&](unsigned count) { return to.initLabels(count); });
  if (!spec.env.empty()) Write(to.initEnv(static_cast<unsigned>(spec.env.size())), spec.env);
  to.setTimeoutMs(static_cast<std::uint64_t>(spec.timeout.count()));

  auto retry = to.initRetry();
  retry.setMax(spec.retry.max);
  retry.setOnAgentLost(spec.retry.on_agent_lost);
  retry.setOnFailure(spec.retry.on_failure);
  WriteNumbers(spec.retry.exit_codes, [&](unsigned count) { return retry.initExitCodes(count); });

  to.setShards(spec.shards);
  to.setAllowFailure(spec.allow_failure);
  WriteTexts(spec.artifacts, [&](unsigned count) { return to.initArtifacts(count); });
  WriteList(
      spec.steps, [&](unsigned count) { return to.initSteps(count); },
      [](wire::Step::Builder builder, const Step& step) { Write(builder, step); });
}

JobSpec Read(wire::JobSpec::Reader from) {
  JobSpec spec;
  spec.name = ReadText(from.getName(), kNameBytes, "job name");
  if (spec.name.empty()) throw Malformed{"a job without a name"};
  spec.needs = ReadTexts(from.getNeeds(), kMaxListed, kNameBytes, "needs");

  const auto resources = from.getResources();
  spec.resources.cpu_milli = resources.getCpuMilli();
  spec.resources.gpu_milli = resources.getGpuMilli();
  spec.resources.gpu_model = ReadText(resources.getGpuModel(), kNameBytes, "gpu model");
  spec.resources.gpu_memory_bytes = resources.getGpuMemoryBytes();
  spec.resources.memory_bytes = resources.getMemoryBytes();

  spec.labels = ReadTexts(from.getLabels(), kMaxListed, kNameBytes, "labels");
  spec.env = Read(from.getEnv(), "env");
  spec.timeout = std::chrono::milliseconds(ReadUpTo(from.getTimeoutMs(), kMaxTimeoutMs, "timeout"));

  const auto retry = from.getRetry();
  spec.retry.max = retry.getMax();
  spec.retry.on_agent_lost = retry.getOnAgentLost();
  spec.retry.on_failure = retry.getOnFailure();
  spec.retry.exit_codes = ReadNumbers<int>(retry.getExitCodes(), kMaxExitCodes, "exit codes");

  spec.shards = ReadUpTo(from.getShards(), kMaxShards, "shards");
  if (spec.shards == 0) throw Malformed{"a job of no shards"};
  spec.allow_failure = from.getAllowFailure();
  spec.artifacts = ReadTexts(from.getArtifacts(), kMaxListed, kSpecTextBytes, "artifacts");
  spec.steps = ReadList<Step>(from.getSteps(), kMaxListed, "steps", [](wire::Step::Reader step) { return Read(step); });
  if (spec.steps.empty()) throw Malformed{"a job without steps"};
  return spec;
}

void Write(wire::PipelineSpec::Builder to, const Pipeline& pipeline) {
  to.setName(TextOf(pipeline.name));
  if (pipeline.on_push) {
    auto push = to.initOnPush();
    WriteTexts(pipeline.on_push->branches, [&](unsigned count) { return push.initBranches(count); });
    WriteTexts(pipeline.on_push->paths, [&](unsigned count) { return push.initPaths(count); });
  }
  WriteList(
      pipeline.jobs, [&](unsigned count) { return to.initJobs(count); },
      [](wire::JobSpec::Builder builder, const JobSpec& spec) { Write(builder, spec); });
}

Pipeline Read(wire::PipelineSpec::Reader from) {
  Pipeline pipeline;
  pipeline.name = ReadText(from.getName(), kNameBytes, "pipeline name");
  if (pipeline.name.empty()) throw Malformed{"a pipeline without a name"};
  if (from.hasOnPush()) {
    const auto push = from.getOnPush();
    pipeline.on_push = PushTrigger{ReadTexts(push.getBranches(), kMaxListed, kPathBytes, "branches"),
                                   ReadTexts(push.getPaths(), kMaxListed, kPathBytes, "paths")};
  }
  pipeline.jobs =
      ReadList<JobSpec>(from.getJobs(), kMaxJobs, "jobs", [](wire::JobSpec::Reader spec) { return Read(spec); });
  if (pipeline.jobs.empty()) throw Malformed{"a pipeline without jobs"};
  return pipeline;
}

void Write(capnp::List<wire::EnvVar>::Builder to, const Env& env) {
  unsigned i = 0;
  for (const auto& [name, value] : env) {
    auto variable = to[i++];
    variable.setName(TextOf(name));
    WriteText(value, [&](auto text) { variable.setValue(text); });
  }
}

Env Read(capnp::List<wire::EnvVar>::Reader from, const char* field) {
  CountOf(from, kMaxListed, field);
  Env env;
  for (const auto variable : from) {
    std::string name = ReadText(variable.getName(), kNameBytes, field);
    if (name.empty() || name.find('=') != name.npos) throw Malformed{std::string(field) + " has no valid name"};
    const std::size_t before = env.size();
    const auto at = env.emplace_hint(env.end(), std::move(name), ReadText(variable.getValue(), kSpecTextBytes, field));
    if (env.size() == before) throw Malformed{std::string(field) + " names " + at->first + " twice"};
  }
  return env;
}

void Write(wire::SourceInfo::Builder to, const SourceInfo& info) {
  WriteText(info.repository, [&](auto text) { to.setRepository(text); });
  WriteText(info.ref, [&](auto text) { to.setRef(text); });
  WriteText(info.branch, [&](auto text) { to.setBranch(text); });
  WriteText(info.commit, [&](auto text) { to.setCommit(text); });
  WriteWords(info.title, kWordsBytes, [&](auto text) { to.setTitle(text); });
  WriteWords(info.author, kWordsBytes, [&](auto text) { to.setAuthor(text); });
  to.setDirty(info.dirty);
}

SourceInfo Read(wire::SourceInfo::Reader from) {
  return {.repository = ReadText(from.getRepository(), kPathBytes, "repository"),
          .ref = ReadText(from.getRef(), kPathBytes, "ref"),
          .branch = ReadText(from.getBranch(), kPathBytes, "branch"),
          .commit = ReadText(from.getCommit(), kNameBytes, "commit"),
          .title = ReadWords(from.getTitle(), kWordsBytes, "title"),
          .author = ReadWords(from.getAuthor(), kWordsBytes, "author"),
          .dirty = from.getDirty()};
}

// ---- attempts and machines -----------------------------------------------------------------------------------

void Write(wire::Outcome::Builder to, const Outcome& outcome) {
  to.setKind(WireEnum<wire::OutcomeKind>(outcome.kind));
  to.setCode(outcome.code);
  to.setStep(outcome.step);
  WriteWords(outcome.detail, kWordsBytes, [&](auto text) { to.setDetail(text); });
}

Outcome Read(wire::Outcome::Reader from) {
  return {.kind = ReadEnum(from.getKind(), OutcomeKind::kUploadFailed, "outcome"),
          .code = from.getCode(),
          .step = from.getStep(),
          .detail = ReadWords(from.getDetail(), kWordsBytes, "outcome detail")};
}

void Write(wire::Offer::Builder to, const Offer& offer) {
  to.setCpuMilli(offer.cpu_milli);
  to.setMemoryBytes(offer.memory_bytes);
  WriteList(
      offer.gpus, [&](unsigned count) { return to.initGpus(count); },
      [](wire::Gpu::Builder builder, const Gpu& gpu) {
        builder.setUuid(TextOf(gpu.uuid));
        WriteText(gpu.model, [&](auto text) { builder.setModel(text); });
        builder.setMemoryBytes(gpu.memory_bytes);
      });
  WriteTexts(offer.labels, [&](unsigned count) { return to.initLabels(count); });
}

Offer Read(wire::Offer::Reader from) {
  return {.cpu_milli = from.getCpuMilli(),
          .memory_bytes = from.getMemoryBytes(),
          .gpus = ReadList<Gpu>(from.getGpus(), kMaxGpus, "gpus",
                                [](wire::Gpu::Reader gpu) {
                                  return Gpu{ReadText(gpu.getUuid(), kNameBytes, "gpu uuid"),
                                             ReadText(gpu.getModel(), kNameBytes, "gpu model"), gpu.getMemoryBytes()};
                                }),
          .labels = ReadTexts(from.getLabels(), kMaxOfferLabels, kNameBytes, "offered labels")};
}

// ---- metrics -------------------------------------------------------------------------------------------------

void Write(capnp::List<wire::Metric>::Builder to, const Metrics& metrics) {
  for (unsigned i = 0; i < to.size(); ++i) {
    to[i].setName(TextOf(metrics[i].first));
    to[i].setValue(metrics[i].second);
  }
}

Metrics Read(capnp::List<wire::Metric>::Reader from, std::size_t max, const char* field) {
  return ReadList<std::pair<std::string, double>>(from, max, field, [&](wire::Metric::Reader metric) {
    return std::pair(ReadText(metric.getName(), kMaxMetricNameBytes, field), metric.getValue());
  });
}

void Write(capnp::List<wire::MetricLine>::Builder to, const std::vector<MetricLine>& lines) {
  for (unsigned i = 0; i < to.size(); ++i) {
    auto line = to[i];
    line.setStep(lines[i].step);
    line.setAtMs(MsOf(lines[i].at));
    const auto& values = lines[i].values;
    if (!values.empty()) Write(line.initValues(static_cast<unsigned>(values.size())), values);
  }
}

std::vector<MetricLine> Read(capnp::List<wire::MetricLine>::Reader from, const char* field) {
  return ReadList<MetricLine>(from, kMaxMetricLines, field, [&](wire::MetricLine::Reader line) {
    return MetricLine{line.getStep(), WallTime{line.getAtMs()}, Read(line.getValues(), kMaxMetricsPerLine, field)};
  });
}

}  // namespace furrow::codec
