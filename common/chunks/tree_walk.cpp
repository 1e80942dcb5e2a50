#include "common/chunks/tree_walk.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "common/base/glob.h"
#include "common/chunks/beneath.h"
#include "common/chunks/tree_path.h"

namespace furrow {
namespace {

// Says how far patterns can have come on the way to a place: (pattern, states).
using Active = std::vector<std::pair<std::size_t, Glob::States>>;

class Globs {
 public:
  explicit Globs(const std::vector<std::string>& patterns) {
    for (std::string_view pattern : patterns) {
      excludes_.push_back(pattern.starts_with('!'));
      if (excludes_.back()) pattern.remove_prefix(1);
      while (pattern.starts_with("./")) pattern.remove_prefix(2);
      while (pattern.ends_with('/')) pattern.remove_suffix(1);
      globs_.emplace_back(pattern);
    }
  }

  std::size_t Count() const { return globs_.size(); }
  bool Excludes(std::size_t pattern) const { return excludes_[pattern]; }

  Active Start() const {
    Active active;
    for (std::size_t i = 0; i < globs_.size(); ++i) active.emplace_back(i, globs_[i].Start());
    return active;
  }

  // Returns `active` after more of the path.
  Active Step(const Active& active, std::string_view text) const {
    Active next;
    for (const auto& [pattern, before] : active) {
      Glob::States states = before;
      for (const char c : text) {
        states = globs_[pattern].Step(states, c);
        if (states.empty()) break;
      }
      if (!states.empty()) next.emplace_back(pattern, std::move(states));
    }
    return next;
  }

  // Returns the last pattern that matches, or -1.
  int LastMatch(const Active& active) const {
    int last = -1;
    for (const auto& [pattern, states] : active)
      if (globs_[pattern].Accepts(states)) last = static_cast<int>(pattern);
    return last;
  }
  void Mark(const Active& active, std::vector<bool>& matched) const {
    for (const auto& [pattern, states] : active)
      if (globs_[pattern].Accepts(states)) matched[pattern] = true;
  }

  // Collects the names that can follow; false if a wildcard hides them.
  bool LiteralNames(const Active& active, std::vector<std::string>& names) const {
    for (const auto& [pattern, states] : active) {
      auto name = globs_[pattern].NextName(states);
      if (!name) return false;
      if (!name->empty()) names.push_back(std::move(*name));
    }
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    return true;
  }

 private:
  std::vector<Glob> globs_;
  std::vector<bool> excludes_;
};

std::vector<std::string> AnyDepth(const std::vector<std::string>& patterns) {
  std::vector<std::string> out;
  for (const std::string& pattern : patterns)
    out.push_back(pattern.find('/') == std::string::npos ? "**/" + pattern : pattern);
  return out;
}

class Walker {
 public:
  Walker(const std::vector<std::string>& include, const std::vector<std::string>& exclude, bool keep_going)
      : include_(include), exclude_(AnyDepth(exclude)), keep_going_(keep_going), matched_(include_.Count(), false) {}

  struct Cursor {
    int folder;
    std::string prefix;  // "" or "a/b/"
    Active include;
    Active exclude;
    bool take;  // as the last pattern says that matches the folder or one above it
    int last;   // that pattern; -1: none
    int depth;
  };

  Cursor Root(int root_fd, bool take) const { return {root_fd, "", include_.Start(), exclude_.Start(), take, -1, 0}; }

  // Visits every wanted entry of a folder. Sets `any` if an entry was recorded.
  Status Folder(const Cursor& cursor, bool& any) {
    if (cursor.depth > kMaxTreeDepth)  // Each level holds one open descriptor.
      return LeaveOut({Errc::kInvalid, "folders are nested over " + std::to_string(kMaxTreeDepth) + " deep at " +
                                           QuotePath(cursor.prefix)});
    std::vector<std::string> names;
    if (cursor.take || !include_.LiteralNames(cursor.include, names)) {
      if (Status read = ReadNames(cursor, names); !read) return LeaveOut(std::move(read).error());
    }
    for (const std::string& name : names) FURROW_TRY(Visit(cursor, name, any));
    return {};
  }

  Status Visit(const Cursor& cursor, const std::string& name, bool& any) {
    const Active excluded = exclude_.Step(cursor.exclude, name);
    if (exclude_.LastMatch(excluded) >= 0) return {};
    const Active included = include_.Step(cursor.include, name);
    const int last = std::max(cursor.last, include_.LastMatch(included));
    const bool take = Takes(cursor, last);
    if (!take && included.empty()) return {};

    WalkedEntry entry;
    entry.path = cursor.prefix + name;
    if (::fstatat(cursor.folder, name.c_str(), &entry.status, AT_SYMLINK_NOFOLLOW) != 0) {
      // It was removed meanwhile, or is a literal that matches nothing.
      if (errno == ENOENT || errno == ENOTDIR || errno == ENAMETOOLONG) return {};
      if (take) include_.Mark(included, matched_);
      return LeaveOut(ErrnoError("cannot read " + QuotePath(entry.path), errno));
    }
    if (entry.path.size() > kMaxPathBytes) {
      if (take) include_.Mark(included, matched_);
      return LeaveOut({Errc::kInvalid, "path " + QuotePath(entry.path) + " is longer than " +
                                           std::to_string(kMaxPathBytes) + " bytes"});
    }
    if (S_ISDIR(entry.status.st_mode)) return Descend(cursor, name, included, excluded, any);
    if (!take) return {};
    if (S_ISLNK(entry.status.st_mode)) {
      entry.mode = TreeMode::kSymlink;
      if (Status read = ReadLink(cursor.folder, name, entry); !read) return LeaveOut(std::move(read).error());
    } else if (S_ISREG(entry.status.st_mode)) {
      entry.mode = (entry.status.st_mode & 0100) != 0 ? TreeMode::kExecutable : TreeMode::kFile;
    } else {
      walk_.special.push_back(std::move(entry.path));
      return {};
    }
    Record(std::move(entry), included, any);
    return {};
  }

  // Brings the excludes of `cursor` to the folder `path`; false if the folder or one above it is excluded.
  bool Exclude(std::string_view path, Cursor& cursor) const {
    for (const std::string_view part : SplitPath(path)) {
      cursor.exclude = exclude_.Step(cursor.exclude, part);
      if (exclude_.LastMatch(cursor.exclude) >= 0) return false;
      cursor.exclude = exclude_.Step(cursor.exclude, "/");
    }
    return true;
  }

  Walk Finish(const std::vector<std::string>& include) {
    for (std::size_t i = 0; i < matched_.size(); ++i)
      if (!matched_[i] && !include_.Excludes(i)) walk_.unmatched.push_back(include[i]);
    return std::move(walk_);
  }

 private:
  // Returns whether a place is taken of which `last` is the last pattern that matches it or a folder above it.
  bool Takes(const Cursor& cursor, int last) const {
    return last == cursor.last ? cursor.take : !include_.Excludes(static_cast<std::size_t>(last));
  }

  Status Descend(const Cursor& cursor, const std::string& name, const Active& matching, const Active& excluded,
                 bool& any) {
    const std::string path = cursor.prefix + name;
    const Active included = include_.Step(matching, "/");  // `out/**` matches the folder itself, too
    const int last = std::max({cursor.last, include_.LastMatch(matching), include_.LastMatch(included)});
    const bool take = Takes(cursor, last);
    if (!take && included.empty()) return {};
    const FileHandle folder(::openat(cursor.folder, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!folder) {
      // These errors say that another file has replaced the folder meanwhile.
      if (errno == ENOENT || errno == ELOOP || errno == ENOTDIR) return {};
      const int number = errno;
      if (take) include_.Mark(matching, matched_);
      if (take) include_.Mark(included, matched_);
      return LeaveOut(ErrnoError("cannot open the folder " + QuotePath(path), number));
    }
    bool inside = false;
    const Cursor within{folder.Get(), path + "/", included, exclude_.Step(excluded, "/"), take, last, cursor.depth + 1};
    FURROW_TRY(Folder(within, inside));
    any = any || inside;
    include_.Mark(matching, matched_);
    include_.Mark(included, matched_);
    if (!take || inside) return {};
    WalkedEntry entry;
    entry.path = path;
    entry.mode = TreeMode::kDirectory;
    any = true;
    walk_.entries.push_back(std::move(entry));
    return {};
  }

  Status ReadNames(const Cursor& cursor, std::vector<std::string>& names) {
    names.clear();
    const int copy = ::openat(cursor.folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const std::unique_ptr<DIR, int (*)(DIR*)> dir(copy < 0 ? nullptr : ::fdopendir(copy), &::closedir);
    if (dir == nullptr) return tl::unexpected(ErrnoError("cannot read the folder " + QuotePath(cursor.prefix), errno));
    while (true) {
      errno = 0;
      const dirent* entry = ::readdir(dir.get());
      if (entry == nullptr) break;
      const std::string_view name(entry->d_name);
      if (name != "." && name != "..") names.emplace_back(name);
    }
    if (errno != 0) return tl::unexpected(ErrnoError("cannot read the folder " + QuotePath(cursor.prefix), errno));
    return {};
  }

  static Status ReadLink(int folder, const std::string& name, WalkedEntry& entry) {
    char target[kMaxPathBytes + 1];
    const ssize_t length = ::readlinkat(folder, name.c_str(), target, sizeof(target));
    if (length < 0) return tl::unexpected(ErrnoError("cannot read the link " + QuotePath(entry.path), errno));
    entry.target.assign(target, static_cast<std::size_t>(length));
    return {};
  }

  // Ends the walk with an error, or notes the error and lets the walk go on.
  Status LeaveOut(Error error) {
    if (!keep_going_) return tl::unexpected(std::move(error));
    walk_.left_out.push_back(std::move(error.message));
    return {};
  }

  void Record(WalkedEntry entry, const Active& included, bool& any) {
    include_.Mark(included, matched_);
    any = true;
    walk_.entries.push_back(std::move(entry));
  }

  const Globs include_;
  const Globs exclude_;
  const bool keep_going_;
  std::vector<bool> matched_;
  Walk walk_;
};

}  // namespace

Result<Walk> WalkPatterns(int root_fd, const std::vector<std::string>& include, const std::vector<std::string>& exclude,
                          bool keep_going) {
  for (const std::string& written : include) {
    const std::string_view pattern = std::string_view(written).substr(written.starts_with('!') ? 1 : 0);
    if (pattern.starts_with('/') || IsBeneath(pattern, "..") || pattern == ".." ||
        pattern.find("/../") != std::string::npos)
      return Fail(Errc::kInvalid, "pattern " + QuotePath(written) + " leaves the folder; give one relative to it");
  }
  Walker walker(include, exclude, keep_going);
  bool any = false;
  const bool everything = include.empty() || std::any_of(include.begin(), include.end(),
                                                         [](const auto& p) { return p == "." || p == "./"; });
  FURROW_TRY(walker.Folder(walker.Root(root_fd, everything), any));
  Walk walk = walker.Finish(include);
  if (everything) std::erase_if(walk.unmatched, [](const std::string& p) { return p == "." || p == "./"; });
  return walk;
}

Result<Walk> WalkPaths(int root_fd, std::vector<std::string> paths, const std::vector<std::string>& exclude) {
  std::sort(paths.begin(), paths.end(), TreePathLess);
  Walker walker({}, exclude, /*keep_going=*/false);
  FolderStack folders(root_fd, false);
  for (const std::string& path : paths) {
    FURROW_TRY(ValidateTreePath(path));
    FURROW_ASSIGN(const int folder, folders.Enter(ParentPath(path)));
    const std::string name(LastName(path));
    struct stat status {};
    if (::fstatat(folder, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0)
      return tl::unexpected(ErrnoError("cannot read " + QuotePath(path), errno));
    Walker::Cursor cursor = walker.Root(folder, true);
    const std::string_view parent = ParentPath(path);
    if (!parent.empty()) {
      cursor.prefix = std::string(parent) + "/";
      if (!walker.Exclude(parent, cursor)) continue;
    }
    bool any = false;
    FURROW_TRY(walker.Visit(cursor, name, any));
  }
  return walker.Finish({});
}

}  // namespace furrow
