#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <map>
#include <optional>

#include "common/base/file_io.h"
#include "common/base/glob.h"
#include "common/base/user_folders.h"
#include "common/chunks/tree_materialise.h"
#include "common/pipeline/pattern.h"
#include "common/wire/selector.h"
#include "controller/cli/cmd/commands.h"
#include "controller/cli/farm/bulk_client.h"
#include "controller/cli/session/exit_status.h"
#include "controller/cli/show/json.h"

namespace furrow::cli {
namespace {

struct JobArtifacts {
  std::string job;
  Hash name;
  Tree tree;
};

const char* KindOf(TreeMode mode) {
  switch (mode) {
    case TreeMode::kFile: return "file";
    case TreeMode::kExecutable: return "executable";
    case TreeMode::kSymlink: return "link";
    case TreeMode::kDirectory: return "folder";
  }
  return "file";
}

Result<std::vector<JobArtifacts>> FetchTrees(FarmClient& farm, const Selector& what) {
  FURROW_ASSIGN(const RunDetail detail, FetchRun(farm, what));
  std::vector<JobArtifacts> all;
  std::map<Hash, Tree> known;  // Shards often have the same artifacts.
  for (const JobView& job : detail.jobs) {
    if (job.artifacts.IsZero()) continue;
    auto found = known.find(job.artifacts);
    if (found == known.end()) {
      FURROW_ASSIGN(Tree tree, FetchTree(farm, job.artifacts));
      found = known.emplace(job.artifacts, std::move(tree)).first;
    }
    all.push_back({NameOf(job), job.artifacts, found->second});
  }
  return all;
}

// Returns the entries that a pattern, or the name of a file or folder, selects.
Tree Choose(const Tree& tree, const std::vector<std::string>& patterns) {
  Tree chosen;
  for (const TreeEntry& entry : tree.entries)
    if (Takes(patterns, entry.path, PatternUse::kArtifacts)) chosen.entries.push_back(entry);
  return chosen;
}

// Returns the patterns that `--get` stands for. A file that has just this name is meant, whatever characters are in it.
Result<std::vector<std::string>> ReadGet(const std::string& get, const std::vector<JobArtifacts>& all) {
  for (const JobArtifacts& artifacts : all)
    for (const TreeEntry& entry : artifacts.tree.entries)
      if (entry.path == get) return std::vector<std::string>{LiteralPattern(get)};
  if (get.starts_with('!'))
    return Fail(Errc::kInvalid, "--get takes what a pattern matches, and `!` would exclude it; write what is wanted");
  auto read = ReadPattern(get, PatternUse::kArtifacts);
  if (!read) return Fail(Errc::kInvalid, "the pattern `" + get + "` of --get " + read.error().message);
  return read;
}

Result<int> Get(const Session& session, FarmClient& farm, const std::string& run, const std::vector<JobArtifacts>& all,
                const ArtifactsOptions& options) {
  const std::string& name = options.get;
  FURROW_ASSIGN(const std::vector<std::string> patterns, ReadGet(name, all));
  std::optional<Tree> chosen;
  std::string from;
  for (const JobArtifacts& artifacts : all) {
    Tree part = Choose(artifacts.tree, patterns);
    if (part.entries.empty() || (chosen && *chosen == part)) continue;
    if (chosen)
      return Fail(Errc::kRejected, "\"" + name + "\" differs between " + from + " and " + artifacts.job +
                                       "; name the job: " + run + "/" + artifacts.job);
    chosen = std::move(part);
    from = artifacts.job;
  }
  if (!chosen)
    return Fail(Errc::kNotFound, "no artifact \"" + name + "\" in " + options.what + "; without --get they are listed");

  std::error_code failed;  // The folder is the user's, with the user's umask.
  std::filesystem::create_directories(options.out, failed);
  if (failed) return tl::unexpected(ErrnoError("cannot make the folder " + options.out, failed.value()));
  const FileHandle folder(::open(options.out.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder) return tl::unexpected(ErrnoError("cannot write into " + options.out, errno));
  const auto chunks = FetchChunks(farm, *chosen);
  MaterialiseOptions how;
  how.replace = true;
  how.threads = 1;  // The connection belongs to this thread.
  FURROW_TRY(MaterialiseTree(*chosen, folder.Get(), *chunks, how));

  std::vector<ArtifactFile> files;
  for (const TreeEntry& entry : chosen->entries) files.push_back({from, entry.path, KindOf(entry.mode), entry.size});
  if (session.json) {
    WriteOut(JsonArtifacts(files));
  } else {
    for (const ArtifactFile& file : files)
      WriteOut(Plain((std::filesystem::path(options.out) / file.path).lexically_normal().string()) + "\n");
  }
  return kExitPassed;
}

}  // namespace

Result<int> ArtifactsCommand(const Session& session, const ArtifactsOptions& options) {
  FURROW_ASSIGN(const Selector what, ParseSelector(options.what));
  if (!options.get.empty()) FURROW_TRY(CheckCurrentFolder(options.out));
  FURROW_ASSIGN(const auto farm, session.OpenFarm());
  FURROW_ASSIGN(const std::vector<JobArtifacts> all, FetchTrees(*farm, what));
  if (!options.get.empty())
    return Get(session, *farm, FormatSelector({what.pipeline, what.number, "", {}}), all, options);
  std::vector<ArtifactFile> files;
  for (const JobArtifacts& artifacts : all)
    for (const TreeEntry& entry : artifacts.tree.entries)
      files.push_back({artifacts.job, entry.path, KindOf(entry.mode), entry.size});
  WriteOut(session.json ? JsonArtifacts(files) : RenderArtifacts(files, session.Style()));
  return kExitPassed;
}

}  // namespace furrow::cli
