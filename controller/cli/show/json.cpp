#include "controller/cli/show/json.h"

#include "schemas/client_json.h"
#include "schemas/pipeline_json.h"

namespace furrow::cli {
namespace {

// Puts the name that people know a run by in front of the run's fields.
Json Named(const RunSummary& run) {
  Json json{{"name", NameOf(run)}};
  json.update(ToJson(run));
  return json;
}

}  // namespace

std::string Dump(const Json& json) {
  return EscapeUnseen(json.dump(2, ' ', false, Json::error_handler_t::replace)) + "\n";
}

std::string JsonRuns(const RunList& list) {
  return Dump({{"runs", JsonList(list.runs, Named)}});
}

std::string JsonRun(const RunSummary& run, const std::vector<JobView>& jobs) {
  return Dump({{"run", Named(run)}, {"jobs", JsonList(jobs, [](const JobView& job) { return ToJson(job); })}});
}

std::string JsonAgents(const AgentList& list) {
  return Dump(ToJson(list));
}

std::string JsonReasons(const WaitReasons& reasons) {
  return Dump(ToJson(reasons));
}

std::string JsonMetrics(const MetricsAnswer& metrics) {
  return Dump(ToJson(metrics));
}

std::string JsonArtifacts(const std::vector<ArtifactFile>& files) {
  return Dump({{"artifacts", JsonList(files, [](const ArtifactFile& file) {
                  return Json{{"job", file.job}, {"path", file.path}, {"kind", file.kind}, {"size", file.size}};
                })}});
}

std::string JsonSubmitted(const Submitted& submitted) {
  return Dump(ToJson(submitted));
}

std::string JsonText(std::string_view key, std::string_view text) {
  return Dump({{std::string(key), text}});
}

std::string JsonError(const Error& error) {
  return Dump({{"error", {{"code", ErrcName(error.code)}, {"message", error.message}}}});
}

std::string JsonDiagnostics(std::string_view file, const ParsedPipeline& parsed) {
  return Dump({{"file", file},
               {"ok", parsed.ok()},
               {"diagnostics", JsonList(parsed.diagnostics, [](const Diagnostic& one) { return ToJson(one); })}});
}

std::string JsonLogs(std::string_view run, const std::vector<JobLog>& logs) {
  return Dump({{"run", run}, {"logs", JsonList(logs, [](const JobLog& log) {
                                return Json{{"job", log.job}, {"attempt", Raw(log.attempt)}, {"text", log.text}};
                              })}});
}

}  // namespace furrow::cli
