#include "controller/cli/source/commit.h"

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <filesystem>
#include <map>
#include <set>
#include <utility>

#include "common/base/file_io.h"
#include "controller/cli/source/git.h"

namespace furrow::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kPathsAtOnce = 500;     // of one call of git
constexpr std::size_t kMostPointers = 1'000;  // blobs that are read to see whether they are pointers of Git LFS

struct CommitEntry {
  std::string mode, id;
  std::uint64_t size = 0;
};

class Comparison {
 public:
  Comparison(std::string folder, std::string lies_at, const Tree& tree)
      : folder_(std::move(folder)), lies_at_(std::move(lies_at)), tree_(tree) {}

  Result<Differences> Run(const std::string& commit, bool dirty) {
    FURROW_TRY(ReadCommit(commit));
    if (dirty) {
      FURROW_ASSIGN(const std::string changed, Git(folder_, {"diff", "--relative", "--name-only", "-z", commit}));
      for (std::string& path : Split(changed, '\0')) changed_.insert(std::move(path));
    }
    std::set<std::string> sent;
    std::vector<std::string> same_size;
    for (const TreeEntry& entry : tree_.entries) {
      sent.insert(entry.path);
      if (!changed_.contains(entry.path)) CompareEntry(entry, dirty, same_size);
    }
    for (const auto& [path, entry] : commit_)
      if (!sent.contains(path) && !changed_.contains(path)) Note("missing", path);
    FURROW_TRY(CompareContents(same_size));
    return Finish();
  }

 private:
  Status ReadCommit(const std::string& commit) {
    FURROW_ASSIGN(const std::string listed, Git(folder_, {"ls-tree", "-r", "-l", "-z", commit}));
    for (const std::string& line : Split(listed, '\0')) {
      const std::size_t tab = line.find('\t');
      if (tab == std::string::npos) continue;
      std::vector<std::string> words;
      for (std::string& word : Split(line.substr(0, tab), ' '))
        if (!word.empty()) words.push_back(std::move(word));
      if (words.size() != 4) continue;
      const std::string path = line.substr(tab + 1);
      if (words[1] == "commit")
        submodules_.push_back(path);
      else
        commit_[path] = {words[0], words[2], std::strtoull(words[3].c_str(), nullptr, 10)};
    }
    return {};
  }

  void CompareEntry(const TreeEntry& entry, bool dirty, std::vector<std::string>& same_size) {
    const auto beneath = std::find_if(submodules_.begin(), submodules_.end(), [&](const std::string& path) {
      return entry.path == path || entry.path.starts_with(path + "/");
    });
    if (beneath != submodules_.end()) return Note("submodule", *beneath);
    const auto found = commit_.find(entry.path);
    if (found == commit_.end()) {
      if (!dirty) Note("extra", entry.path);  // Git says that there are files which are not in the commit.
      return;
    }
    const CommitEntry& held = found->second;
    const bool link = held.mode == "120000";
    if (link != (entry.mode == TreeMode::kSymlink) || (held.mode == "100755") != (entry.mode == TreeMode::kExecutable))
      return Note("mode", entry.path);
    if (link) return;
    if (entry.size == held.size)
      same_size.push_back(entry.path);
    else
      Note(IsPointer(held) ? "lfs" : "converted", entry.path);
  }

  bool IsPointer(const CommitEntry& held) {
    if (held.size > kMaxLfsPointerBytes || ++pointers_read_ > kMostPointers) return false;
    const auto content = Git(folder_, {"cat-file", "blob", held.id});
    return content && IsLfsPointer(*content);
  }

  // Looks into files of the same size whose bytes git may have converted, or which it was told not to look at.
  Status CompareContents(const std::vector<std::string>& paths) {
    std::set<std::string> suspects;
    FURROW_ASSIGN(const std::string flags, Git(folder_, {"ls-files", "-v", "-z"}));
    for (const std::string& line : Split(flags, '\0'))
      if (line.size() > 2 && (line[0] == 'S' || std::islower(static_cast<unsigned char>(line[0])) != 0))
        suspects.insert(line.substr(2));
    for (std::size_t at = 0; at < paths.size(); at += kPathsAtOnce) {
      if (!HasAttributes()) break;
      std::vector<std::string> words{"check-attr", "-z", "filter", "ident", "working-tree-encoding", "--"};
      const std::size_t end = std::min(at + kPathsAtOnce, paths.size());
      words.insert(words.end(), paths.begin() + static_cast<std::ptrdiff_t>(at),
                   paths.begin() + static_cast<std::ptrdiff_t>(end));
      FURROW_ASSIGN(const std::string said, Git(folder_, std::move(words)));
      const std::vector<std::string> parts = Split(said, '\0');  // path, attribute, value
      for (std::size_t i = 0; i + 2 < parts.size(); i += 3)
        if (parts[i + 2] != "unspecified" && parts[i + 2] != "unset") suspects.insert(parts[i]);
    }
    std::vector<std::string> asked;
    for (const std::string& path : paths) {
      if (!suspects.contains(path) || path.find('\n') != std::string::npos) continue;
      if (const auto content = ReadFile(Place(path), kMaxLfsPointerBytes); content && IsLfsPointer(*content))
        Note("pointer", path);
      asked.push_back(path);
    }
    for (std::size_t at = 0; at < asked.size(); at += kPathsAtOnce) {
      std::vector<std::string> words{"hash-object", "--no-filters", "--"};
      const std::size_t end = std::min(at + kPathsAtOnce, asked.size());
      for (std::size_t i = at; i < end; ++i) words.push_back(Place(asked[i]));
      FURROW_ASSIGN(const std::string said, Git(folder_, std::move(words)));
      const std::vector<std::string> ids = Split(said, '\n');
      for (std::size_t i = at; i < end && i - at < ids.size(); ++i)
        if (ids[i - at] != commit_.at(asked[i]).id) Note("converted", asked[i]);
    }
    return {};
  }

  std::string Place(const std::string& path) const { return (fs::path(lies_at_) / path).string(); }

  bool HasAttributes() const {
    if (std::any_of(commit_.begin(), commit_.end(), [](const auto& entry) {
          return entry.first == ".gitattributes" || entry.first.ends_with("/.gitattributes");
        }))
      return true;
    std::error_code ignored;
    const auto file = Git(folder_, {"rev-parse", "--path-format=absolute", "--git-path", "info/attributes"});
    return (file && fs::exists(file->substr(0, file->find('\n')), ignored)) ||
           Git(folder_, {"config", "--get", "core.attributesFile"}).has_value() ||
           Git(folder_, {"rev-parse", "--show-prefix"}).value_or("").size() > 1;
  }

  void Note(const std::string& kind, const std::string& path) {
    auto& [count, first] = found_[kind];
    if (kind == "submodule" && first == path) return;
    if (count++ == 0) first = path;
  }

  Differences Finish() const {
    static const std::map<std::string, std::string> kWords = {
        {"converted",
         "are not byte for byte what git stores (a filter, `ident`, line ends, or changes that git was told "
         "not to see), which is what a push delivers"},
        {"extra", "are not in the commit"},
        {"lfs",
         "are sent with their contents from Git LFS; a push delivers these where the repository that it goes to "
         "holds them, else the pointers"},
        {"missing", "of the commit are not here, as in a sparse checkout; a push delivers them"},
        {"mode", "have another mode or kind than in the commit"},
        {"pointer", "are pointers of Git LFS, not the contents; `git lfs pull` fetches those"},
        {"submodule", "belong to submodules and are sent as they lie here; a push leaves submodules out"}};
    Differences differences;
    for (const auto& [kind, found] : found_) {
      differences.equal = differences.equal && (kind == "lfs" || kind == "pointer");
      differences.notes.push_back("files " + kWords.at(kind) + ": " + found.second +
                                  (found.first > 1 ? " and " + std::to_string(found.first - 1) + " more" : ""));
    }
    return differences;
  }

  const std::string folder_;
  const std::string lies_at_;
  const Tree& tree_;
  std::map<std::string, CommitEntry> commit_;
  std::vector<std::string> submodules_;
  std::set<std::string> changed_;
  std::map<std::string, std::pair<std::size_t, std::string>> found_;  // kind → how many, the first
  std::size_t pointers_read_ = 0;
};

}  // namespace

Result<Differences> CompareWithCommit(const std::string& folder, const std::string& commit, const Tree& tree,
                                      bool dirty, const std::string& lies_at) {
  return Comparison(folder, lies_at.empty() ? folder : lies_at, tree).Run(commit, dirty);
}

}  // namespace furrow::cli
