#include "common/chunks/tree_walk.h"

#include <dirent.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "common/chunks/beneath.h"
#include "common/chunks/tree_path.h"

namespace furrow {
namespace {

// Says how far patterns have come on the way to a folder: (pattern, next component).
using Active = std::vector<std::pair<std::size_t, std::size_t>>;

class Globs {
 public:
  explicit Globs(const std::vector<std::string>& patterns) {
    for (std::string_view pattern : patterns) {
      while (pattern.starts_with("./")) pattern.remove_prefix(2);
      while (pattern.ends_with('/')) pattern.remove_suffix(1);
      std::vector<std::string> parts;
      for (const std::string_view part : SplitPath(pattern)) parts.emplace_back(part);
      patterns_.push_back(std::move(parts));
    }
  }

  std::size_t Count() const { return patterns_.size(); }
  std::size_t Length(std::size_t pattern) const { return patterns_[pattern].size(); }

  Active Start() const {
    Active active;
    for (std::size_t i = 0; i < patterns_.size(); ++i) Add(active, i, 0);
    return active;
  }

  // Returns `active` after one more component.
  Active Step(const Active& active, const char* name) const {
    Active next;
    for (const auto& [pattern, at] : active) {
      if (at == patterns_[pattern].size()) continue;
      const std::string& part = patterns_[pattern][at];
      if (part == "**") {
        Add(next, pattern, at);
      } else if (::fnmatch(part.c_str(), name, FNM_NOESCAPE) == 0) {
        Add(next, pattern, at + 1);
      }
    }
    return next;
  }

  bool Complete(const Active& active) const {
    return std::any_of(active.begin(), active.end(), [&](const auto& a) { return a.second == Length(a.first); });
  }

  // Collects the names that can follow; false if a glob character hides them.
  bool LiteralNames(const Active& active, std::vector<std::string>& names) const {
    for (const auto& [pattern, at] : active) {
      if (at == patterns_[pattern].size()) continue;
      if (patterns_[pattern][at].find_first_of("*?[") != std::string::npos) return false;
      names.push_back(patterns_[pattern][at]);
    }
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    return true;
  }

 private:
  // "**" also stands for no component at all.
  void Add(Active& active, std::size_t pattern, std::size_t at) const {
    const std::pair<std::size_t, std::size_t> here(pattern, at);
    if (std::find(active.begin(), active.end(), here) != active.end()) return;
    active.push_back(here);
    if (at < patterns_[pattern].size() && patterns_[pattern][at] == "**") Add(active, pattern, at + 1);
  }

  std::vector<std::vector<std::string>> patterns_;
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
    bool take_all;
    int depth;
  };

  Cursor Root(int root_fd, bool take_all) const {
    return {root_fd, "", include_.Start(), exclude_.Start(), take_all, 0};
  }

  // Visits every wanted entry of a folder. Sets `any` if an entry was recorded.
  Status Folder(const Cursor& cursor, bool& any) {
    if (cursor.depth > kMaxTreeDepth)  // Each level holds one open descriptor.
      return LeaveOut({Errc::kInvalid, "folders are nested over " + std::to_string(kMaxTreeDepth) + " deep at " +
                                           QuotePath(cursor.prefix)});
    std::vector<std::string> names;
    if (cursor.take_all || !include_.LiteralNames(cursor.include, names)) {
      if (Status read = ReadNames(cursor, names); !read) return LeaveOut(std::move(read).error());
    }
    for (const std::string& name : names) FURROW_TRY(Visit(cursor, name, any));
    return {};
  }

  Status Visit(const Cursor& cursor, const std::string& name, bool& any) {
    const Active excluded = exclude_.Step(cursor.exclude, name.c_str());
    if (exclude_.Complete(excluded)) return {};
    const Active included = include_.Step(cursor.include, name.c_str());
    const bool take = cursor.take_all || include_.Complete(included);
    if (!take && included.empty()) return {};

    WalkedEntry entry;
    entry.path = cursor.prefix + name;
    if (::fstatat(cursor.folder, name.c_str(), &entry.status, AT_SYMLINK_NOFOLLOW) != 0) {
      // It was removed meanwhile, or is a literal that matches nothing.
      if (errno == ENOENT || errno == ENOTDIR || errno == ENAMETOOLONG) return {};
      if (take) Mark(included);
      return LeaveOut(ErrnoError("cannot read " + QuotePath(entry.path), errno));
    }
    if (entry.path.size() > kMaxPathBytes) {
      if (take) Mark(included);
      return LeaveOut({Errc::kInvalid, "path " + QuotePath(entry.path) + " is longer than " +
                                           std::to_string(kMaxPathBytes) + " bytes"});
    }
    if (S_ISDIR(entry.status.st_mode)) return Descend(cursor, name, included, excluded, take, any);
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
      cursor.exclude = exclude_.Step(cursor.exclude, std::string(part).c_str());
      if (exclude_.Complete(cursor.exclude)) return false;
    }
    return true;
  }

  Walk Finish(const std::vector<std::string>& include) {
    for (std::size_t i = 0; i < matched_.size(); ++i)
      if (!matched_[i]) walk_.unmatched.push_back(include[i]);
    return std::move(walk_);
  }

 private:
  Status Descend(const Cursor& cursor, const std::string& name, const Active& included, const Active& excluded,
                 bool take, bool& any) {
    const std::string path = cursor.prefix + name;
    const FileHandle folder(::openat(cursor.folder, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!folder) {
      // These errors say that another file has replaced the folder meanwhile.
      if (errno == ENOENT || errno == ELOOP || errno == ENOTDIR) return {};
      const int number = errno;
      if (take) Mark(included);
      return LeaveOut(ErrnoError("cannot open the folder " + QuotePath(path), number));
    }
    bool inside = false;
    FURROW_TRY(Folder({folder.Get(), path + "/", included, excluded, take, cursor.depth + 1}, inside));
    any = any || inside;
    Mark(included);
    if (!take || inside) return {};
    WalkedEntry entry;
    entry.path = path;
    entry.mode = TreeMode::kDirectory;
    Record(std::move(entry), included, any);
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

  void Mark(const Active& included) {
    for (const auto& [pattern, at] : included)
      if (at == include_.Length(pattern)) matched_[pattern] = true;
  }

  void Record(WalkedEntry entry, const Active& included, bool& any) {
    Mark(included);
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
  for (const std::string& pattern : include)
    if (pattern.starts_with('/') || IsBeneath(pattern, "..") || pattern == ".." ||
        pattern.find("/../") != std::string::npos)
      return Fail(Errc::kInvalid, "pattern " + QuotePath(pattern) + " leaves the folder; give one relative to it");
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
