#include <sys/stat.h>

#include <csignal>
#include <filesystem>
#include <optional>

#include "common/base/program.h"
#include "common/base/text.h"
#include "common/base/user_folders.h"
#include "common/wire/selector.h"
#include "controller/cli/cmd/commands.h"
#include "controller/cli/farm/bulk_client.h"
#include "controller/cli/follow/follow_run.h"
#include "controller/cli/session/exit_status.h"
#include "controller/cli/show/json.h"
#include "controller/cli/source/folder_files.h"
#include "controller/cli/source/pipeline_file.h"
#include "controller/cli/source/tree.h"

namespace furrow::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kWorthProgress = 8 << 20;  // the fewest bytes to upload with a progress line
constexpr int kScans = 3;                          // the most scans of a folder that changes while it is read

// A PipelineLocation is the folder and the file that the user named: `furrow run a/furrow.yaml` means the folder a.
struct PipelineLocation {
  std::string folder;
  std::string file;   // the pipeline file
  std::string shown;  // the file's name in messages
};

Result<PipelineLocation> FindPipeline(const RunOptions& options) {
  FURROW_TRY(CheckCurrentFolder(options.path));
  if (!options.file.empty()) FURROW_TRY(CheckCurrentFolder(options.file));
  std::error_code error;
  PipelineLocation location{options.path, options.file, options.file};
  const fs::file_status status = fs::status(options.path, error);
  if (fs::is_regular_file(status) && options.file.empty()) {
    location.file = location.shown = options.path;
    const fs::path parent = fs::path(options.path).parent_path();
    location.folder = parent.empty() ? "." : parent.string();
  } else if (!fs::is_directory(status)) {
    return Fail(Errc::kInvalid, "there is no folder " + options.path + " to run");
  }
  if (location.file.empty()) {
    location.file = (fs::path(location.folder) / "furrow.yaml").string();
    location.shown = options.path == "." ? "furrow.yaml" : location.file;
  }
  return location;
}

Result<SourceTree> TakeSources(const PipelineLocation& location, const RunOptions& options) {
  if (options.revision.empty()) return SourceTree::OfFolder(location.folder);
  return SourceTree::OfRevision(location.folder, options.revision);
}

// Reads the pipeline file; the file of a revision is the one in the revision.
Result<PipelineFile> ReadPipeline(const PipelineLocation& location, const RunOptions& options,
                                  const SourceTree* sources) {
  if (sources == nullptr) return ReadPipelineFile(location.file, location.shown, location.folder);
  const fs::path inside = fs::path(location.file).lexically_proximate(location.folder);
  return ReadPipelineFile((fs::path(sources->root()) / inside).string(), options.revision + ":" + inside.string(),
                          location.folder);
}

// Returns the path of the pipeline file in the repository or folder; with the farm's name for that it says which
// pipeline this is.
std::string PathWithin(const std::string& repository, const std::string& file) {
  std::error_code error;
  const fs::path real = fs::weakly_canonical(file, error);
  if (error) return file;
  const fs::path inside = real.lexically_relative(repository);
  return inside.empty() || *inside.begin() == ".." ? real.string() : inside.string();
}

// Prints the errors of the file. Returns the exit status if the file cannot be run.
std::optional<int> Complain(const Session& session, const PipelineFile& file, const Env& overrides,
                            const SourceFiles& sources) {
  const ParsedPipeline parsed = ParsePipeline(file.text, file.default_name, overrides, &sources);
  if (parsed.ok()) return std::nullopt;
  if (session.json)
    WriteOut(JsonDiagnostics(file.name, parsed));
  else
    Say(FormatDiagnostics(file.name, parsed.diagnostics));
  return kExitUsage;
}

Result<Hash> Upload(const Session& session, FarmClient& farm, const PipelineLocation& location,
                    const RunOptions& options, std::optional<SourceTree>& sources) {
  std::uint64_t shown = 0;
  const auto progress = [&](std::uint64_t sent, std::uint64_t total) {
    if (!session.terminal.err || session.json || total < kWorthProgress) return;
    if (sent != total && sent < shown + total / 100) return;
    shown = sent;
    WriteErr("\r\033[Kfurrow: uploading " + FormatBytes(sent) + " of " + FormatBytes(total) +
             (sent == total ? "\n" : ""));
  };
  for (int scan = 1;; ++scan) {
    Result<UploadReport> report = UploadTree(farm, sources->tree(), sources->chunks(), progress);
    if (report) return report->tree;
    if (report.error().code != Errc::kCorrupt || scan == kScans) return tl::unexpected(std::move(report).error());
    // A file changed between the scan and the upload, so the folder is scanned again.
    FURROW_ASSIGN(SourceTree again, TakeSources(location, options));
    sources.emplace(std::move(again));
  }
}

// Makes text readable: paths and names of branches may have any bytes, but people read the source of a run.
std::string Shown(const std::string& bytes) {
  return std::string(ClippedUtf8(RepairedUtf8(bytes), 1000));
}
SourceInfo Shown(SourceInfo info) {
  for (std::string* text : {&info.repository, &info.ref, &info.branch, &info.origin, &info.file}) *text = Shown(*text);
  return info;
}

// Says so where the pipeline file is none of the files that are sent: git ignores it, or it lies elsewhere.
void NotePipelineFile(const PipelineLocation& location, const SourceTree& sources, SourceInfo& info) {
  if (info.commit.empty()) return;
  const fs::path file = fs::path(location.file).lexically_proximate(location.folder);
  if (sources.tree().Find(file.lexically_normal().string()) != nullptr) return;
  info.dirty = true;
  info.notes.push_back("the pipeline file " + Shown(location.file) + " is not among the files that are sent");
}

// Returns the name of a pipeline whose file gives none. That of a linked working copy is the repository's, as for a
// push.
std::string DefaultNameOf(const PipelineLocation& location, const SourceTree& sources, const std::string& of_folder) {
  std::error_code error;
  const bool whole = fs::canonical(location.folder, error) == sources.top();
  return whole && sources.info().repository != sources.top() ? NameOfFolder(sources.info().repository) : of_folder;
}

}  // namespace

Result<int> RunCommand(const Session& session, const RunOptions& options) {
  // The signals are blocked before there are threads, which would take them otherwise.
  Signals signals({SIGINT, SIGTERM, SIGWINCH});
  FURROW_ASSIGN(const Env overrides, ParseSettings(options.set));
  FURROW_ASSIGN(const PipelineLocation location, FindPipeline(options));
  std::optional<SourceTree> sources;
  if (!options.revision.empty()) {
    FURROW_ASSIGN(SourceTree taken, TakeSources(location, options));
    sources.emplace(std::move(taken));
  }
  FURROW_ASSIGN(PipelineFile file, ReadPipeline(location, options, sources ? &*sources : nullptr));
  const FolderFiles files({sources ? sources->root() : location.folder});
  if (const auto status = Complain(session, file, overrides, files)) return *status;

  FURROW_ASSIGN(const auto farm, session.OpenFarm());
  FURROW_TRY(farm->Ask<Pong>(Ping{}));  // The ping fails before a gigabyte is hashed.
  if (!sources) {
    FURROW_ASSIGN(SourceTree taken, TakeSources(location, options));
    sources.emplace(std::move(taken));
  }
  Submit submit;
  submit.request = Uuid::Random();
  submit.file = Shown(file.name);
  submit.text = std::move(file.text);
  submit.default_name = Shown(DefaultNameOf(location, *sources, file.default_name));
  submit.overrides = overrides;
  submit.info = sources->info();
  submit.info.file = PathWithin(sources->top(), location.file);
  NotePipelineFile(location, *sources, submit.info);
  if (!session.json)
    for (const std::string& note : submit.info.notes) WriteErr("furrow: sources: " + Plain(note) + "\n");
  submit.info = Shown(std::move(submit.info));
  FURROW_ASSIGN(submit.source, Upload(session, *farm, location, options, sources));
  FURROW_ASSIGN(const Submitted submitted, farm->Ask<Submitted>(submit));
  if (options.detach) return SayDetached(session, submitted);
  return FollowRun(session, *farm, submitted, signals);
}

Result<int> RetryCommand(const Session& session, const RetryOptions& options) {
  Signals signals({SIGINT, SIGTERM, SIGWINCH});
  FURROW_ASSIGN(const Selector run, ParseSelector(options.run));
  if (!run.job.empty()) return Fail(Errc::kInvalid, "a whole run is retried; --failed keeps the jobs that passed");
  FURROW_ASSIGN(const auto farm, session.OpenFarm());
  FURROW_ASSIGN(const Submitted submitted, farm->Ask<Submitted>(Retry{Uuid::Random(), run, options.failed}));
  if (options.detach) return SayDetached(session, submitted);
  return FollowRun(session, *farm, submitted, signals);
}

}  // namespace furrow::cli
