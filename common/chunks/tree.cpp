#include "common/chunks/tree.h"

#include <algorithm>
#include <unordered_set>

#include "common/chunks/chunker.h"
#include "common/chunks/tree_path.h"

namespace furrow {
namespace {

constexpr std::size_t kMaxLinkLookups = 1'000'000;  // lookups for one tree; they take about half a second

Status InvalidEntry(const TreeEntry& entry, const std::string& what) {
  return Fail(Errc::kInvalid, QuotePath(entry.path) + " " + what);
}

bool IsFile(const TreeEntry& entry) {
  return entry.mode == TreeMode::kFile || entry.mode == TreeMode::kExecutable;
}

constexpr const char* kLinkCure =
    "; a link must stay within the folder: make it relative (ln -sr), or remove it and name what it leads to by its "
    "path";

bool IsLink(const Tree& tree, std::string_view path) {
  const TreeEntry* entry = tree.Find(path);
  return entry != nullptr && entry->mode == TreeMode::kSymlink;
}

// Returns whether the target goes up behind a name: "x/../y" does, "../y" does not.
bool GoesUpLater(const std::vector<std::string_view>& parts) {
  bool named = false;
  for (const std::string_view part : parts) {
    if (part == ".." && named) return true;
    named = named || (part != ".." && part != "." && !part.empty());
  }
  return false;
}

// A link's own folder is a real folder, since nothing lies beneath a link. So `..` at the front of a target goes up in
// the tree; behind a component that is a link, `..` might lead elsewhere and is refused. Thus each link's text by
// itself stays inside, and by induction so does any chain of links. `lookups` bounds the work that hostile targets can
// cause.
Status ValidateTarget(const Tree& tree, const TreeEntry& link, std::size_t& lookups) {
  const std::string& target = link.target;
  if (target.empty() || target.size() > kMaxPathBytes || target.find('\0') != std::string::npos)
    return InvalidEntry(link, "is a link with an empty, too long or impossible target");
  if (target.front() == '/')
    return InvalidEntry(link, "is a link to the absolute path " + QuotePath(target) + kLinkCure);
  const std::vector<std::string_view> parts = SplitPath(target);
  const bool look_for_links = GoesUpLater(parts);
  std::string at(ParentPath(link.path));
  bool through_link = false;
  for (const std::string_view part : parts) {
    if (part.empty() || part == ".") continue;
    if (part.size() > kMaxNameBytes) return InvalidEntry(link, "is a link with a name of over 255 bytes in its target");
    if (part == "..") {
      if (at.empty()) return InvalidEntry(link, "is a link that leaves the tree: " + QuotePath(target) + kLinkCure);
      if (through_link)
        return InvalidEntry(
            link, "is a link that goes up behind another link, perhaps out of the tree: " + QuotePath(target));
      at = ParentPath(at);
      continue;
    }
    if (!at.empty()) at += '/';
    at += part;
    if (!look_for_links) continue;
    if (lookups == 0) return InvalidEntry(link, "is one link too many of the kind \"x/../y\"");
    --lookups;
    through_link = through_link || IsLink(tree, at);
  }
  return {};
}

Status ValidateContent(const TreeEntry& entry) {
  if (entry.mode > TreeMode::kDirectory) return InvalidEntry(entry, "has an unknown mode");
  if (entry.mode != TreeMode::kSymlink && !entry.target.empty())
    return InvalidEntry(entry, "has a target but is no link");
  if (!IsFile(entry)) {
    if (entry.size == 0 && entry.chunks.empty()) return {};
    return InvalidEntry(entry, "has content but is no file");
  }
  std::uint64_t sum = 0;
  for (const ChunkRef& chunk : entry.chunks) {
    if (chunk.size == 0 || chunk.size > kMaxChunkBytes) return InvalidEntry(entry, "has a chunk of an impossible size");
    sum += chunk.size;
  }
  if (sum != entry.size) return InvalidEntry(entry, "has a size that its chunks do not add up to");
  return {};
}

}  // namespace

std::uint64_t Tree::TotalBytes() const {
  std::uint64_t sum = 0;
  for (const TreeEntry& entry : entries) sum += entry.size;
  return sum;
}

std::vector<ChunkRef> Tree::UniqueChunks() const {
  std::vector<ChunkRef> unique;
  std::unordered_set<Hash> seen;
  for (const TreeEntry& entry : entries)
    for (const ChunkRef& chunk : entry.chunks)
      if (seen.insert(chunk.hash).second) unique.push_back(chunk);
  return unique;
}

const TreeEntry* Tree::Find(std::string_view path) const {
  const auto at =
      std::lower_bound(entries.begin(), entries.end(), path,
                       [](const TreeEntry& entry, std::string_view p) { return TreePathLess(entry.path, p); });
  return at != entries.end() && at->path == path ? &*at : nullptr;
}

bool TreePathLess(std::string_view a, std::string_view b) {
  const std::size_t common = std::min(a.size(), b.size());
  const auto [x, y] = std::mismatch(a.begin(), a.begin() + static_cast<std::ptrdiff_t>(common), b.begin());
  if (x == a.begin() + static_cast<std::ptrdiff_t>(common)) return a.size() < b.size();
  const auto rank = [](char c) { return c == '/' ? -1 : static_cast<int>(static_cast<unsigned char>(c)); };
  return rank(*x) < rank(*y);
}

Status ValidateTreePath(std::string_view path) {
  const auto refuse = [&](const char* why) { return Fail(Errc::kInvalid, "path " + QuotePath(path) + " " + why); };
  if (path.empty()) return refuse("is empty");
  if (path.size() > kMaxPathBytes) return refuse("is longer than 4095 bytes");
  if (path.front() == '/') return refuse("is absolute; it must be relative");
  if (path.find('\0') != std::string_view::npos) return refuse("has a NUL byte");
  std::size_t begin = 0;
  while (begin <= path.size()) {
    const std::size_t end = std::min(path.find('/', begin), path.size());
    const std::string_view part = path.substr(begin, end - begin);
    if (part.empty()) return refuse("has an empty component");
    if (part == "." || part == "..") return refuse("has a '.' or '..' component");
    if (part.size() > kMaxNameBytes) return refuse("has a component of over 255 bytes");
    begin = end + 1;
  }
  return {};
}

Status ValidateTree(const Tree& tree) {
  const TreeEntry* last = nullptr;
  for (const TreeEntry& entry : tree.entries) {
    FURROW_TRY(ValidateTreePath(entry.path));
    if (last != nullptr) {
      if (entry.path == last->path) return InvalidEntry(entry, "is there twice");
      if (!TreePathLess(last->path, entry.path)) return InvalidEntry(entry, "is out of order");
      // A path beneath `last` would follow it directly.
      if (IsBeneath(entry.path, last->path))
        return InvalidEntry(entry, "lies beneath " + QuotePath(last->path) + ", which is not a folder with content");
    }
    FURROW_TRY(ValidateContent(entry));
    last = &entry;
  }
  std::size_t lookups = kMaxLinkLookups;
  for (const TreeEntry& entry : tree.entries)
    if (entry.mode == TreeMode::kSymlink) FURROW_TRY(ValidateTarget(tree, entry, lookups));
  return {};
}

std::vector<std::string> TakeOutBadLinks(Tree& tree) {
  std::vector<std::string> said;
  std::vector<bool> bad(tree.entries.size(), false);
  std::size_t lookups = kMaxLinkLookups;
  for (std::size_t i = 0; i < tree.entries.size(); ++i) {
    if (tree.entries[i].mode != TreeMode::kSymlink) continue;
    const Status fits = ValidateTarget(tree, tree.entries[i], lookups);
    if (fits) continue;
    bad[i] = true;
    said.push_back(fits.error().message);
  }
  std::size_t i = 0;
  std::erase_if(tree.entries, [&](const TreeEntry&) { return bad[i++]; });
  return said;
}

Result<Tree> MakeTree(std::vector<TreeEntry> entries) {
  std::sort(entries.begin(), entries.end(),
            [](const TreeEntry& a, const TreeEntry& b) { return TreePathLess(a.path, b.path); });
  Tree tree{std::move(entries)};
  FURROW_TRY(ValidateTree(tree));
  return tree;
}

}  // namespace furrow
