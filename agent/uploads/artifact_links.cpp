#include "agent/uploads/artifact_links.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <deque>
#include <optional>
#include <unordered_set>

#include "common/base/glob.h"
#include "common/chunks/tree_path.h"

namespace furrow {
namespace {

constexpr std::size_t kMostLinks = 40;   // on the way to one place, as in Linux
constexpr std::size_t kMostAdded = 200;  // A walk takes longer with each pattern.

std::string Join(const std::vector<std::string>& parts) {
  std::string path;
  for (const std::string& part : parts) path += (path.empty() ? "" : "/") + part;
  return path;
}

std::vector<std::string> Parts(std::string_view path) {
  std::vector<std::string> parts;
  while (!path.empty()) {
    const std::size_t slash = std::min(path.find('/'), path.size());
    if (const auto part = path.substr(0, slash); !part.empty() && part != ".") parts.emplace_back(part);
    path.remove_prefix(std::min(slash + 1, path.size()));
  }
  return parts;
}

// Returns a link's target; "": it is no link; none: there is nothing.
std::optional<std::string> Target(int root_fd, const std::string& path) {
  char target[kMaxPathBytes + 1];
  const ssize_t length = ::readlinkat(root_fd, path.c_str(), target, sizeof(target));
  if (length >= 0) return std::string(target, static_cast<std::size_t>(length));
  if (errno == EINVAL) return std::string();
  return std::nullopt;
}

// Returns whether a pattern matches `place` or a folder above it.
bool Selects(std::string_view pattern, std::string_view place) {
  if (pattern.starts_with('!')) pattern.remove_prefix(1);
  const std::string plain = Join(Parts(pattern));
  if (plain.empty()) return true;  // "." is everything.
  for (std::string_view at = place; !at.empty(); at = ParentPath(at))
    if (GlobMatch(plain, at)) return true;
  return false;
}

}  // namespace

Followed FollowLinks(int root_fd, std::string_view path) {
  Followed followed;
  std::vector<std::string> done;
  const std::vector<std::string> first = Parts(path);
  std::deque<std::string> rest(first.begin(), first.end());
  while (!rest.empty()) {
    const std::string part = rest.front();
    rest.pop_front();
    if (part == "..") {
      followed.outside = done.empty();
      if (followed.outside) return followed;
      done.pop_back();
      continue;
    }
    done.push_back(part);
    const std::string here = Join(done);
    const auto target = Target(root_fd, here);
    followed.missing = !target || followed.links.size() >= kMostLinks;
    if (followed.missing) return followed;
    if (target->empty()) continue;
    followed.links.push_back(here);
    followed.outside = target->starts_with('/');
    if (followed.outside) return followed;
    done.pop_back();
    const std::vector<std::string> more = Parts(*target);
    rest.insert(rest.begin(), more.begin(), more.end());
  }
  followed.place = Join(done);
  return followed;
}

LinkedPatterns::LinkedPatterns(int root_fd, const std::vector<std::string>& patterns) : root_fd_(root_fd) {
  for (const std::string& given : patterns) {
    const bool excludes = given.starts_with('!');
    const std::vector<std::string> parts = Parts(std::string_view(given).substr(excludes ? 1 : 0));
    // The links are looked for in the names before the first wildcard; the last name may be a link itself.
    std::vector<std::string> folders;
    for (std::size_t i = 0; i + 1 < parts.size() && !HasWildcard(parts[i]); ++i) folders.push_back(parts[i]);
    const std::string folder = Join(folders);
    const Followed followed = FollowLinks(root_fd, folder);
    Pattern pattern{given, "", ""};
    if (!followed.links.empty()) {
      const std::string& link = followed.links.back();
      pattern.word = QuotePath(link) + " is a link to " + QuotePath(Target(root_fd, link).value_or(""));
      if (followed.outside) pattern.word += ", out of the workspace, where nothing is collected: copy it";
      if (followed.missing) pattern.word += ", where there is nothing";
    }
    if (!followed.links.empty() && !followed.outside && !followed.missing) {
      const std::string rest = Join({parts.begin() + static_cast<std::ptrdiff_t>(folders.size()), parts.end()});
      pattern.followed =
          (excludes ? "!" : "") + (followed.place.empty() ? rest : LiteralPattern(followed.place) + "/" + rest);
      if (!excludes)
        for (const std::string& link : followed.links)
          if (ways_.insert(link).second) added_.push_back(LiteralPattern(link));
    }
    patterns_.push_back(std::move(pattern));
  }
}

std::vector<std::string> LinkedPatterns::All() const {
  std::vector<std::string> all = added_;
  for (const Pattern& pattern : patterns_) {
    all.push_back(pattern.given);
    if (!pattern.followed.empty()) all.push_back(pattern.followed);
  }
  return all;
}

bool LinkedPatterns::Decided(std::string_view place) const {
  return std::any_of(patterns_.begin(), patterns_.end(), [&](const Pattern& pattern) {
    return Selects(pattern.given, place) || (!pattern.followed.empty() && Selects(pattern.followed, place));
  });
}

bool LinkedPatterns::AddPlace(const std::string& place) {
  if (place.empty() || added_.size() >= kMostAdded || Decided(place)) return false;
  if (std::any_of(added_.begin(), added_.end(), [&](const std::string& pattern) { return Selects(pattern, place); }))
    return false;
  added_.push_back(LiteralPattern(place));
  return true;
}

bool LinkedPatterns::Add(const Tree& tree) {
  if (patterns_.empty()) return false;  // Everything is taken already.
  bool any = false;
  for (const TreeEntry& entry : tree.entries) {
    if (entry.mode != TreeMode::kSymlink || (ways_.contains(entry.path) && !Decided(entry.path))) continue;
    const Followed followed = FollowLinks(root_fd_, entry.path);
    if (followed.outside || followed.missing) continue;
    for (const std::string& link : followed.links) any = AddPlace(link) || any;
    any = AddPlace(followed.place) || any;
  }
  return any;
}

std::vector<std::string> LinkedPatterns::Unmatched(const std::vector<std::string>& unmatched) const {
  const std::unordered_set<std::string> lacks(unmatched.begin(), unmatched.end());
  std::vector<std::string> words;
  for (const Pattern& pattern : patterns_) {
    if (!lacks.contains(pattern.given) || (!pattern.followed.empty() && !lacks.contains(pattern.followed))) continue;
    words.push_back("`" + pattern.given + "`" + (pattern.word.empty() ? "" : " (" + pattern.word + ")"));
  }
  return words;
}

std::vector<std::string> LinkedPatterns::Dangling(const Tree& tree) const {
  std::unordered_set<std::string> there;
  for (const TreeEntry& entry : tree.entries)
    for (std::string_view at = entry.path; !at.empty() && there.emplace(at).second;) at = ParentPath(at);
  std::vector<std::string> dangling;
  for (const TreeEntry& entry : tree.entries) {
    if (entry.mode != TreeMode::kSymlink) continue;
    const Followed followed = FollowLinks(root_fd_, entry.path);
    const bool kept = !followed.missing && (followed.place.empty() || there.contains(followed.place));
    if (!kept) dangling.push_back(QuotePath(entry.path));
  }
  return dangling;
}

}  // namespace furrow
