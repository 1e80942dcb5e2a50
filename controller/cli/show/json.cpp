#include "controller/cli/show/json.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace furrow::cli {
namespace {

using Json = nlohmann::ordered_json;

// Logs need not be UTF-8: what is not becomes U+FFFD.
std::string Dump(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

Json Time(WallTime time) {
  if (time == WallTime{}) return nullptr;
  return static_cast<std::int64_t>(time);
}

Json Source(const SourceInfo& source) {
  return {{"repository", source.repository},
          {"ref", source.ref},
          {"branch", source.branch},
          {"commit", source.commit},
          {"title", source.title},
          {"author", source.author},
          {"dirty", source.dirty}};
}

Json Run(const RunSummary& run) {
  return {{"name", NameOf(run)},
          {"pipeline", run.pipeline},
          {"number", run.number},
          {"state", RunStateName(run.state)},
          {"source", Source(run.source)},
          {"submitted_ms", Time(run.submitted)},
          {"ended_ms", Time(run.ended)},
          {"jobs",
           {{"total", run.jobs_total},
            {"passed", run.jobs_passed},
            {"failed", run.jobs_failed},
            {"running", run.jobs_running}}},
          {"note", run.note}};
}

const char* KindName(OutcomeKind kind) {
  switch (kind) {
    case OutcomeKind::kExited: return "exited";
    case OutcomeKind::kSignaled: return "signaled";
    case OutcomeKind::kStartFailed: return "start_failed";
    case OutcomeKind::kTimedOut: return "timed_out";
    case OutcomeKind::kKilled: return "killed";
    case OutcomeKind::kLogQuota: return "log_quota";
    case OutcomeKind::kLost: return "lost";
    case OutcomeKind::kInputFailed: return "input_failed";
    case OutcomeKind::kArtifactMissing: return "artifact_missing";
    case OutcomeKind::kUploadFailed: return "upload_failed";
  }
  return "unknown";
}

Json Job(const JobView& job) {
  Json outcome = nullptr;
  if (job.outcome)
    outcome = {{"kind", KindName(job.outcome->kind)},
               {"code", job.outcome->code},
               {"step", job.outcome->step},
               {"detail", job.outcome->detail}};
  Json metrics = Json::object();
  for (const auto& [name, value] : job.metrics) metrics[name] = value;
  return {{"job", job.job},
          {"shard", job.shard},
          {"shards", job.shard_count},
          {"state", JobStateName(job.state)},
          {"attempt", Raw(job.epoch)},
          {"agent", job.agent},
          {"gpus", job.gpu_uuids},
          {"needs", job.needs},
          {"waits_for", job.waits_for},
          {"ready_ms", Time(job.ready)},
          {"started_ms", Time(job.started)},
          {"ended_ms", Time(job.ended)},
          {"outcome", outcome},
          {"log_bytes", job.log_length},
          {"artifacts", job.artifacts.IsZero() ? "" : job.artifacts.ToHex()},
          {"metrics", metrics}};
}

}  // namespace

std::string JsonRuns(const RunList& list) {
  Json runs = Json::array();
  for (const RunSummary& run : list.runs) runs.push_back(Run(run));
  return Dump({{"runs", runs}});
}

std::string JsonRun(const RunSummary& run, const std::vector<JobView>& jobs) {
  Json list = Json::array();
  for (const JobView& job : jobs) list.push_back(Job(job));
  return Dump({{"run", Run(run)}, {"jobs", list}});
}

std::string JsonAgents(const AgentList& list) {
  Json agents = Json::array();
  for (const AgentView& agent : list.agents) {
    Json gpus = Json::array(), jobs = Json::array();
    for (const Gpu& gpu : agent.offer.gpus)
      gpus.push_back({{"uuid", gpu.uuid}, {"model", gpu.model}, {"memory_bytes", gpu.memory_bytes}});
    for (const AgentJob& job : agent.jobs)
      jobs.push_back({{"job", job.job}, {"since_ms", Time(job.since)}, {"gpus", job.gpu_uuids}});
    agents.push_back({{"name", agent.name},
                      {"host", agent.host},
                      {"software", agent.software},
                      {"connected", agent.connected},
                      {"drained", agent.drained},
                      {"last_seen_ms", Time(agent.last_seen)},
                      {"cpus", agent.offer.cpu_milli / 1000.0},
                      {"cpus_used", agent.cpu_milli_used / 1000.0},
                      {"memory_bytes", agent.offer.memory_bytes},
                      {"gpus", gpus},
                      {"labels", agent.offer.labels},
                      {"jobs", jobs},
                      {"note", agent.note}});
  }
  return Dump({{"agents", agents}});
}

std::string JsonReasons(const WaitReasons& reasons) {
  Json list = Json::array();
  for (const WaitReason& reason : reasons.reasons)
    list.push_back({{"job", reason.job}, {"reason", reason.reason}, {"holders", reason.holders}});
  return Dump({{"reasons", list}});
}

std::string JsonMetrics(const MetricsAnswer& metrics) {
  Json list = Json::array();
  for (const MetricSeries& series : metrics.series)
    list.push_back({{"job", series.job},
                    {"name", series.name},
                    {"steps", series.steps},
                    {"values", series.values},
                    {"reported", std::max<std::uint64_t>(series.reported, series.values.size())}});
  return Dump({{"series", list}});
}

std::string JsonArtifacts(const std::vector<ArtifactFile>& files) {
  Json list = Json::array();
  for (const ArtifactFile& file : files)
    list.push_back({{"job", file.job}, {"path", file.path}, {"kind", file.kind}, {"size", file.size}});
  return Dump({{"artifacts", list}});
}

std::string JsonSubmitted(const Submitted& submitted) {
  return Dump({{"run", submitted.name}, {"repeated", submitted.repeated}, {"note", submitted.note}});
}

std::string JsonText(std::string_view key, std::string_view text) {
  return Dump({{std::string(key), text}});
}

std::string JsonError(const Error& error) {
  return Dump({{"error", {{"code", ErrcName(error.code)}, {"message", error.message}}}});
}

std::string JsonDiagnostics(std::string_view file, const ParsedPipeline& parsed) {
  Json list = Json::array();
  for (const Diagnostic& diagnostic : parsed.diagnostics)
    list.push_back({{"line", diagnostic.line}, {"column", diagnostic.column}, {"message", diagnostic.message}});
  return Dump({{"file", file}, {"ok", parsed.ok()}, {"diagnostics", list}});
}

std::string JsonLogs(std::string_view run, const std::vector<JobLog>& logs) {
  Json list = Json::array();
  for (const JobLog& log : logs) list.push_back({{"job", log.job}, {"attempt", Raw(log.attempt)}, {"text", log.text}});
  return Dump({{"run", run}, {"logs", list}});
}

}  // namespace furrow::cli
