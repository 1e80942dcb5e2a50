#include "controller/cli/source/tree.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string_view>
#include <thread>

#include "common/base/file_io.h"
#include "common/base/hash.h"
#include "common/base/run_program.h"
#include "common/base/user_folders.h"
#include "common/chunks/hash_cache.h"
#include "common/chunks/tree_scan.h"

namespace furrow::cli {
namespace {

namespace fs = std::filesystem;

std::string FirstLine(std::string_view text) {
  return std::string(text.substr(0, text.find('\n')));
}

std::vector<std::string> Split(const std::string& text, char mark) {
  std::vector<std::string> parts;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find(mark, at), text.size());
    parts.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

bool LiesInRepository(fs::path folder) {
  std::error_code error;
  for (folder = fs::absolute(folder, error);; folder = folder.parent_path()) {
    if (fs::exists(folder / ".git", error)) return true;
    if (folder == folder.parent_path()) return false;
  }
}

// Runs git in `folder` and returns its output. kInvalid: git failed; the message is git's.
Result<std::string> Git(const std::string& folder, std::vector<std::string> arguments, ProgramOptions options = {}) {
  arguments.insert(arguments.begin(), {"git", "--no-optional-locks"});
  options.folder = folder;
  FURROW_ASSIGN(ProgramResult result, RunProgram(arguments, options));
  if (result.status == 0) return std::move(result.out);
  return Fail(Errc::kInvalid, "git " + arguments[2] + " in " + folder + ": " + FirstLine(result.err));
}

std::string WithoutNewline(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

// Sets the title and author of a commit.
Status Describe(const std::string& folder, const std::string& commit, SourceInfo& info) {
  FURROW_ASSIGN(const std::string text, Git(folder, {"log", "-1", "--format=%s%n%an", commit, "--"}));
  const std::vector<std::string> lines = Split(text, '\n');
  info.commit = commit;
  if (!lines.empty()) info.title = lines[0];
  if (lines.size() > 1) info.author = lines[1];
  return {};
}

void Branch(const std::string& name, SourceInfo& info) {
  info.branch = name;
  info.ref = "refs/heads/" + name;
}

// Takes the header lines of `git status --porcelain=v2 --branch`; every other line is a change.
Status ReadStatus(const std::string& folder, SourceInfo& info) {
  FURROW_ASSIGN(const std::string text,
                Git(folder, {"status", "--porcelain=v2", "--branch", "--untracked-files=normal", "--", "."}));
  std::string commit;
  for (const std::string& line : Split(text, '\n')) {
    if (line.starts_with("# branch.oid "))
      commit = line.substr(13);
    else if (line.starts_with("# branch.head ") && line != "# branch.head (detached)")
      Branch(line.substr(14), info);
    else if (!line.starts_with("#"))
      info.dirty = true;
  }
  if (!commit.empty() && commit != "(initial)") FURROW_TRY(Describe(folder, commit, info));
  return {};
}

std::string CacheFile(const std::string& folder) {
  const auto cache = CacheFolder();
  if (!cache) return "";
  const fs::path hashes = *cache / "furrow/hashes";
  if (!MakeFolders(hashes.string())) return "";
  return (hashes / HashOf(folder).ToHex().substr(0, 16)).string();
}

// A TemporaryFolder is removed with its owner.
class TemporaryFolder {
 public:
  static Result<std::unique_ptr<TemporaryFolder>> Make() {
    std::string name = (FolderForTemporaries() / "furrow-run-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) return tl::unexpected(ErrnoError("cannot make the folder " + name, errno));
    return std::unique_ptr<TemporaryFolder>(new TemporaryFolder(std::move(name)));
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }

 private:
  explicit TemporaryFolder(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

// Returns the repository that the working copy `top` was cloned from, a path on this machine in its real form; empty:
// none is known.
std::string OriginOf(const std::string& top) {
  const auto asked = Git(top, {"config", "--get", "remote.origin.url"});
  std::string origin = asked ? WithoutNewline(*asked) : "";
  constexpr std::string_view kFile = "file://";
  if (origin.starts_with(kFile)) origin.erase(0, kFile.size());
  const bool remote = origin.find("://") != origin.npos || origin.find(':') < origin.find('/');
  if (origin.empty() || remote) return origin;
  std::error_code failed;
  for (const char* ending : {"", ".git"}) {  // Git finds a repository with either name, too.
    fs::path real = fs::canonical(fs::path(top) / (origin + ending), failed);
    if (failed) continue;
    if (real.filename() == ".git") real = real.parent_path();
    return real.string();
  }
  return origin;
}

}  // namespace

struct SourceTree::Impl {
  std::unique_ptr<TemporaryFolder> temporary;
  std::string root;
  FileHandle root_fd;
  SourceInfo info;
  Tree tree;
  std::unique_ptr<ScannedChunks> chunks;
};

SourceTree::SourceTree(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
SourceTree::~SourceTree() = default;
SourceTree::SourceTree(SourceTree&&) noexcept = default;

const Tree& SourceTree::tree() const {
  return impl_->tree;
}
ChunkSource& SourceTree::chunks() const {
  return *impl_->chunks;
}
const SourceInfo& SourceTree::info() const {
  return impl_->info;
}
const std::string& SourceTree::root() const {
  return impl_->root;
}

Result<GitState> AskGit(const std::string& folder) {
  GitState state;
  if (!LiesInRepository(folder)) return state;
  FURROW_ASSIGN(const std::string top, Git(folder, {"rev-parse", "--show-toplevel"}));
  state.repository = true;
  state.info.repository = WithoutNewline(top);
  state.info.origin = OriginOf(state.info.repository);
  FURROW_ASSIGN(const std::string listed, Git(folder, {"ls-files", "-coz", "--exclude-standard"}));
  FURROW_TRY(ReadStatus(folder, state.info));
  state.paths = Split(listed, '\0');
  std::sort(state.paths.begin(), state.paths.end());  // Git lists a file in conflict three times.
  state.paths.erase(std::unique(state.paths.begin(), state.paths.end()), state.paths.end());
  std::erase_if(state.paths, [&](std::string& path) {
    if (path.ends_with('/')) path.pop_back();  // The path is a repository inside this one.
    struct stat status {};
    return ::lstat((folder + "/" + path).c_str(), &status) != 0;  // The file was deleted without git's knowledge.
  });
  return state;
}

Result<SourceTree> SourceTree::Scan(std::unique_ptr<Impl> impl, const std::vector<std::string>* paths) {
  impl->root_fd = FileHandle(::open(impl->root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!impl->root_fd) {
    const Error error = ErrnoError("cannot read the folder " + impl->root, errno);
    return Fail(Errc::kInvalid, error.message);
  }
  const std::string cache_file = impl->temporary ? "" : CacheFile(impl->root);
  const auto cache = cache_file.empty() ? nullptr : HashCache::Open(cache_file);
  ScanOptions options;
  options.exclude = {".git"};
  options.cache = cache.get();
  options.threads = std::max(1u, std::thread::hardware_concurrency());
  const int root = impl->root_fd.Get();
  auto scanned = paths != nullptr ? ScanPaths(root, *paths, options) : ScanTree(root, options);
  if (!scanned)
    return Fail(scanned.error().code == Errc::kUnavailable ? Errc::kInternal : scanned.error().code,
                scanned.error().message);
  if (cache) static_cast<void>(cache->Save());  // Without the cache the next run reads the files again.
  impl->tree = std::move(scanned->tree);
  FURROW_ASSIGN(impl->chunks, ScannedChunks::Open(impl->tree, root));
  return SourceTree(std::move(impl));
}

Result<SourceTree> SourceTree::OfFolder(const std::string& folder) {
  auto impl = std::make_unique<Impl>();
  std::error_code error;
  impl->root = fs::canonical(folder, error).string();
  if (error) return Fail(Errc::kInvalid, "cannot read the folder " + folder + ": " + error.message());
  FURROW_ASSIGN(GitState git, AskGit(impl->root));
  impl->info = std::move(git.info);
  if (!git.repository) impl->info.repository = impl->root;
  return Scan(std::move(impl), git.repository ? &git.paths : nullptr);
}

Result<SourceTree> SourceTree::OfRevision(const std::string& folder, const std::string& revision) {
  if (revision.starts_with('-')) return Fail(Errc::kInvalid, "\"" + revision + "\" names no revision");
  if (!LiesInRepository(folder))
    return Fail(Errc::kInvalid, folder + " lies in no git repository, so there are no revisions to run");
  auto impl = std::make_unique<Impl>();
  FURROW_ASSIGN(const std::string top, Git(folder, {"rev-parse", "--show-toplevel"}));
  FURROW_ASSIGN(const std::string prefix, Git(folder, {"rev-parse", "--show-prefix"}));
  impl->info.repository = WithoutNewline(top);
  impl->info.origin = OriginOf(impl->info.repository);
  const auto found = Git(folder, {"rev-parse", "--verify", "--quiet", revision + "^{commit}"});
  if (!found) return Fail(Errc::kInvalid, "there is no revision \"" + revision + "\" in " + impl->info.repository);
  const std::string commit = WithoutNewline(*found);
  FURROW_TRY(Describe(folder, commit, impl->info));
  const auto branch = Git(folder, {"rev-parse", "--symbolic-full-name", revision});
  if (branch && branch->starts_with("refs/heads/")) Branch(WithoutNewline(*branch).substr(11), impl->info);

  FURROW_ASSIGN(impl->temporary, TemporaryFolder::Make());
  impl->root = impl->temporary->path() + "/tree";
  FURROW_TRY(MakeFolders(impl->root));
  std::string inside = WithoutNewline(prefix);
  if (inside.ends_with('/')) inside.pop_back();
  ProgramOptions options;
  options.variables = {{"GIT_INDEX_FILE", impl->temporary->path() + "/index"}};
  FURROW_TRY(Git(impl->info.repository, {"read-tree", commit + ":" + inside}, options));
  FURROW_TRY(Git(impl->info.repository, {"checkout-index", "--all", "--prefix=" + impl->root + "/"}, options));
  return Scan(std::move(impl), nullptr);
}

}  // namespace furrow::cli
