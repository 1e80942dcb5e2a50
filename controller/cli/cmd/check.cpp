#include <filesystem>

#include "common/base/program.h"
#include "common/base/user_folders.h"
#include "controller/cli/cmd/commands.h"
#include "controller/cli/session/exit_status.h"
#include "controller/cli/show/json.h"
#include "controller/cli/source/folder_files.h"
#include "controller/cli/source/pipeline_file.h"

namespace furrow::cli {

Result<int> CheckCommand(const Session& session, const std::string& given) {
  namespace fs = std::filesystem;
  FURROW_TRY(CheckCurrentFolder(given));
  std::error_code other;
  const std::string file = fs::is_directory(given, other) ? (fs::path(given) / "furrow.yaml").string() : given;
  const fs::path folder = fs::path(file).has_parent_path() ? fs::path(file).parent_path() : fs::path(".");
  if (std::error_code none; !fs::exists(file, none))
    return Fail(Errc::kInvalid,
                "there is no file " + file + "; " +
                    (PipelineMeant(file).empty() ? "`furrow check FILE` checks another" : PipelineMeant(file)));
  FURROW_ASSIGN(const PipelineFile read, ReadPipelineFile(file, file, folder.string()));
  const FolderFiles sources = FolderFiles::Around(file);
  const ParsedPipeline parsed = ParsePipeline(read.text, read.default_name, {}, &sources);
  if (session.json) {
    WriteOut(JsonDiagnostics(file, parsed));
  } else if (!parsed.ok()) {
    Say(FormatDiagnostics(file, parsed.diagnostics));
  } else {
    std::uint64_t shards = 0;
    for (const JobSpec& job : parsed.pipeline.jobs) shards += job.shards;
    WriteOut(Plain(file) + ": " + Plain(parsed.pipeline.name) + " is fine, " +
             std::to_string(parsed.pipeline.jobs.size()) + (parsed.pipeline.jobs.size() == 1 ? " job" : " jobs") +
             (shards != parsed.pipeline.jobs.size() ? ", " + std::to_string(shards) + " with shards" : "") + "\n");
  }
  return parsed.ok() ? kExitPassed : kExitUsage;
}

}  // namespace furrow::cli
