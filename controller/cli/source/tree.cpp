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
#include "common/base/replace_file.h"
#include "common/base/run_program.h"
#include "common/base/text.h"
#include "common/base/user_folders.h"
#include "common/chunks/hash_cache.h"
#include "common/chunks/tree_scan.h"
#include "controller/cli/source/commit.h"
#include "controller/cli/source/git.h"

namespace furrow::cli {
namespace {

namespace fs = std::filesystem;

bool LiesInRepository(fs::path folder) {
  std::error_code error;
  for (folder = fs::absolute(folder, error);; folder = folder.parent_path()) {
    if (fs::exists(folder / ".git", error)) return true;
    if (folder == folder.parent_path()) return false;
  }
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

// Returns the repository that the working copy `top` is of: linked ones are of the one that they share their objects
// with.
std::string MainRepository(const std::string& top) {
  const auto asked = Git(top, {"rev-parse", "--path-format=absolute", "--git-common-dir"});
  const auto own = Git(top, {"rev-parse", "--path-format=absolute", "--git-dir"});
  if (!asked || !own || *asked == *own) return top;
  const fs::path common = WithoutNewline(*asked);
  return (common.filename() == ".git" ? common.parent_path() : common).string();
}

// Gives a file that Git LFS keeps its content, if the repository holds that.
void TakeLfsObject(const fs::path& file, const fs::path& objects) {
  const auto pointer = ReadFile(file.string(), kMaxLfsPointerBytes);
  if (!pointer || !IsLfsPointer(*pointer)) return;
  constexpr std::string_view kOid = "oid sha256:";
  const std::size_t at = pointer->find(kOid);
  if (at == std::string::npos || pointer->size() < at + kOid.size() + 64) return;
  const std::string oid = pointer->substr(at + kOid.size(), 64);
  std::error_code failed;
  const fs::perms mode = fs::status(file, failed).permissions();
  const fs::path object = objects / oid.substr(0, 2) / oid.substr(2, 2) / oid;
  if (!fs::is_regular_file(object, failed)) return;
  fs::copy_file(object, file, fs::copy_options::overwrite_existing, failed);
  fs::permissions(file, mode, failed);
}

// Writes the files of the index of `options` into `root` as git stores them, as a push delivers them: no attribute
// converts them, only the contents that Git LFS keeps are put in.
Status CheckOutRaw(const std::string& top, const std::string& root, const ProgramOptions& options) {
  FURROW_ASSIGN(const std::string listed, Git(top, {"ls-files", "-s", "-z", "--full-name"}, options));
  std::vector<std::pair<std::string, std::string>> attributes;  // id, path
  std::vector<std::string> submodules;
  for (const std::string& line : Split(listed, '\0')) {
    const std::vector<std::string> words = Split(line.substr(0, line.find('\t')), ' ');
    const std::string path = line.substr(line.find('\t') + 1);
    if (words.front() == "160000") submodules.push_back(path);
    if (fs::path(path).filename() != ".gitattributes") continue;
    attributes.emplace_back(words.at(1), path);
    FURROW_TRY(Git(top, {"update-index", "--force-remove", "--", path}, options));
  }
  // Git would also take attributes from the working copy.
  FURROW_ASSIGN(const std::string git_dir, Git(top, {"rev-parse", "--absolute-git-dir"}));
  ProgramOptions apart = options;
  apart.variables.emplace_back("GIT_DIR", WithoutNewline(git_dir));
  apart.variables.emplace_back("GIT_WORK_TREE", root);
  FURROW_TRY(Git(root,
                 {"-c", "core.autocrlf=false", "-c", "core.eol=lf", "-c", "core.attributesFile=/dev/null", "-c",
                  "core.symlinks=true", "-c", "core.fileMode=true", "checkout-index", "--all", "--force"},
                 apart));
  std::error_code failed;
  for (const std::string& path : submodules) fs::remove(fs::path(root) / path, failed);  // an empty folder
  for (const auto& [id, path] : attributes) {
    FURROW_ASSIGN(const std::string content, Git(top, {"cat-file", "blob", id}));
    FURROW_TRY(MakeFolders((fs::path(root) / path).parent_path().string()));
    FURROW_TRY(ReplaceFile((fs::path(root) / path).string(), content, 0644));
  }
  FURROW_ASSIGN(const std::string common, Git(top, {"rev-parse", "--path-format=absolute", "--git-common-dir"}));
  const fs::path objects = fs::path(WithoutNewline(common)) / "lfs" / "objects";
  if (!fs::exists(objects, failed)) return {};
  for (const auto& entry : fs::recursive_directory_iterator(root, failed))
    if (!entry.is_symlink(failed) && entry.is_regular_file(failed) && entry.file_size(failed) <= kMaxLfsPointerBytes)
      TakeLfsObject(entry.path(), objects);
  return {};
}

}  // namespace

struct SourceTree::Impl {
  std::unique_ptr<TemporaryFolder> temporary;
  std::string root;
  std::string top;
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
const std::string& SourceTree::top() const {
  return impl_->top;
}

Result<GitState> AskGit(const std::string& folder) {
  GitState state;
  if (!LiesInRepository(folder)) return state;
  FURROW_ASSIGN(const std::string top, Git(folder, {"rev-parse", "--show-toplevel"}));
  state.repository = true;
  state.top = WithoutNewline(top);
  state.info.repository = MainRepository(state.top);
  state.info.origin = OriginOf(state.top);
  FURROW_ASSIGN(const std::string listed, Git(folder, {"ls-files", "-coz", "--exclude-standard"}));
  FURROW_TRY(ReadStatus(folder, state.info));
  state.paths = Split(listed, '\0');
  std::sort(state.paths.begin(), state.paths.end());  // Git lists a file in conflict three times.
  state.paths.erase(std::unique(state.paths.begin(), state.paths.end()), state.paths.end());
  std::vector<std::string> inner;
  std::erase_if(state.paths, [&](std::string& path) {
    if (path.ends_with('/')) {  // The path is a repository inside this one.
      path.pop_back();
      inner.push_back(path);
    }
    struct stat status {};
    return ::lstat((folder + "/" + path).c_str(), &status) != 0;  // The file was deleted without git's knowledge.
  });
  if (!inner.empty())
    state.info.notes.push_back(
        "repositories inside this one are sent as they lie here; a push leaves them out: " + inner.front() +
        (inner.size() > 1 ? " and " + std::to_string(inner.size() - 1) + " more" : ""));
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

Status SourceTree::NoteDifferences(const std::string& folder) {
  SourceInfo& info = impl_->info;
  if (info.commit.empty()) return {};
  FURROW_ASSIGN(Differences differences, CompareWithCommit(folder, info.commit, impl_->tree, info.dirty, impl_->root));
  info.dirty = info.dirty || !differences.equal;
  info.notes.insert(info.notes.end(), differences.notes.begin(), differences.notes.end());
  FURROW_ASSIGN(std::string prefix, Git(folder, {"rev-parse", "--show-prefix"}));
  prefix = WithoutNewline(std::move(prefix));
  if (!prefix.empty()) info.notes.push_back("only the folder " + prefix + " of the commit is sent");
  for (std::string& note : info.notes) note = ClippedUtf8(RepairedUtf8(note), kMaxSourceNoteBytes);
  return {};
}

Result<SourceTree> SourceTree::OfFolder(const std::string& folder) {
  auto impl = std::make_unique<Impl>();
  std::error_code error;
  impl->root = fs::canonical(folder, error).string();
  if (error) return Fail(Errc::kInvalid, "cannot read the folder " + folder + ": " + error.message());
  FURROW_ASSIGN(GitState git, AskGit(impl->root));
  impl->info = std::move(git.info);
  if (!git.repository) impl->info.repository = impl->root;
  impl->top = git.repository ? git.top : impl->root;
  FURROW_ASSIGN(SourceTree taken, Scan(std::move(impl), git.repository ? &git.paths : nullptr));
  FURROW_TRY(taken.NoteDifferences(taken.impl_->root));
  return taken;
}

Result<SourceTree> SourceTree::OfRevision(const std::string& folder, const std::string& revision) {
  if (revision.starts_with('-')) return Fail(Errc::kInvalid, "\"" + revision + "\" names no revision");
  if (!LiesInRepository(folder))
    return Fail(Errc::kInvalid, folder + " lies in no git repository, so there are no revisions to run");
  auto impl = std::make_unique<Impl>();
  FURROW_ASSIGN(const std::string top, Git(folder, {"rev-parse", "--show-toplevel"}));
  FURROW_ASSIGN(const std::string prefix, Git(folder, {"rev-parse", "--show-prefix"}));
  const std::string top_folder = WithoutNewline(top);
  impl->top = top_folder;
  impl->info.repository = MainRepository(top_folder);
  impl->info.origin = OriginOf(top_folder);
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
  FURROW_TRY(Git(top_folder, {"read-tree", commit + ":" + inside}, options));
  FURROW_TRY(CheckOutRaw(top_folder, impl->root, options));
  FURROW_ASSIGN(SourceTree taken, Scan(std::move(impl), nullptr));
  FURROW_TRY(taken.NoteDifferences(folder));
  return taken;
}

}  // namespace furrow::cli
