// These functions show the values of views.h to programs: one JSON document each, described in
// controller/cli/README.md.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/pipeline/pipeline.h"
#include "common/wire/json.h"
#include "controller/cli/show/views.h"
#include "schemas/client.h"

namespace furrow::cli {

// Returns the document as every command prints it: any text of others in it is exact, and harmless for a terminal.
std::string Dump(const Json& json);

std::string JsonRuns(const RunList& list);
std::string JsonRun(const RunSummary& run, const std::vector<JobView>& jobs);
std::string JsonAgents(const AgentList& list);
std::string JsonReasons(const WaitReasons& reasons);
std::string JsonMetrics(const MetricsAnswer& metrics);
std::string JsonArtifacts(const std::vector<ArtifactFile>& files);
std::string JsonSubmitted(const Submitted& submitted);
std::string JsonText(std::string_view key, std::string_view text);  // {"KEY": "TEXT"}
std::string JsonError(const Error& error);
std::string JsonDiagnostics(std::string_view file, const ParsedPipeline& parsed);

struct JobLog {
  std::string job;  // "test/3"
  Epoch attempt{};
  std::string text;
};
std::string JsonLogs(std::string_view run, const std::vector<JobLog>& logs);

}  // namespace furrow::cli
