#include "common/pipeline/witness.h"

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <deque>
#include <set>
#include <utility>

#include "common/base/glob.h"

namespace furrow::pipeline {
namespace {

// A list of patterns may have exponentially many states, unlike a single one. No list that a person writes needs more.
constexpr std::size_t kMostNodes = 5'000;
constexpr std::size_t kMostBytes = 4'096;

// A Name reads a text byte by byte and knows whether git, or a file system, allows it.
class Name {
 public:
  explicit Name(PatternUse use) : use_(use) {}

  // Returns false if no name goes on so.
  bool Add(char c) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < ' ' || byte == 0x7F) return false;
    if (c == '/') {
      if (!PartMayEnd()) return false;
      part_.clear();
      last_ = '/';
      return true;
    }
    if (use_ == PatternUse::kBranches) {
      if (std::string_view(" ~^:?*[\\").find(c) != std::string_view::npos) return false;
      if (c == '.' && (part_.empty() || last_ == '.')) return false;
      if (c == '{' && last_ == '@') return false;
      part_ += c;
      if (part_.size() > kLock.size()) part_.erase(0, 1);
    } else {
      part_ += static_cast<char>(std::tolower(byte));
      // Only what may still become a forbidden name is kept, so that there are few states.
      if (!std::string_view("..").starts_with(part_) && !kGit.starts_with(part_)) part_.assign(1, 'x');
    }
    last_ = c == '.' || c == '@' ? c : 'x';
    return true;
  }
  bool MayEnd() const { return PartMayEnd() && !(use_ == PatternUse::kBranches && last_ == '.'); }
  std::string State() const {
    // A part that cannot end in ".lock" any more needs no more than the end that may become it.
    std::string kept = part_;
    if (use_ == PatternUse::kBranches)
      while (!kept.empty() && !kLock.starts_with(kept)) kept.erase(0, 1);
    return kept + (part_.empty() ? '0' : '1') + last_;
  }

 private:
  static constexpr std::string_view kLock = ".lock";
  static constexpr std::string_view kGit = ".git";

  bool PartMayEnd() const {
    if (part_.empty()) return false;
    if (use_ == PatternUse::kBranches) return part_ != kLock;
    return part_ != "." && part_ != ".." && (part_ != kGit || use_ != PatternUse::kPaths);
  }

  PatternUse use_;
  std::string part_;
  char last_ = '/';
};

struct Member {
  Glob glob;
  bool excludes;
  bool beneath;  // A match of a folder is one of all beneath it.

  Member(std::string_view pattern, PatternUse use)
      : glob(pattern.substr(pattern.starts_with('!') ? 1 : 0)),
        excludes(pattern.starts_with('!')),
        beneath(StandsForFolders(pattern, use)) {}
};

// Says how far one member of a list has come.
struct Progress {
  Glob::States states;
  bool matched = false;  // A folder above matched.

  void Add(const Member& member, char c) {
    if (c == '/' && member.beneath && member.glob.Accepts(states)) matched = true;
    states = member.glob.Step(states, c);
  }
  bool Matches(const Member& member) const { return matched || member.glob.Accepts(states); }
};

constexpr std::string_view kCharacters =
    "x/abcdefghijklmnopqrstuvwyz0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_-.+=,@#%&!'\"();<>$`|~^:?*[\\]{} ";

// Returns one byte for each group that no pattern tells apart, those first that people like to read.
std::string Alphabet(const std::vector<Member>& members) {
  std::string bytes;
  for (const char c : kCharacters)
    if (std::none_of(bytes.begin(), bytes.end(), [&](char known) {
          return std::all_of(members.begin(), members.end(),
                             [&](const Member& member) { return member.glob.Alike(c, known); });
        }))
      bytes += c;
  // A name may forbid what the patterns do not tell apart from these.
  for (const char c : {'x', 'y', '/'})
    if (bytes.find(c) == std::string::npos) bytes += c;
  return bytes;
}

}  // namespace

bool StandsForFolders(std::string_view pattern, PatternUse use) {
  return use == PatternUse::kArtifacts ||
         (use == PatternUse::kPaths && !HasWildcard(pattern.substr(pattern.rfind('/') + 1)));
}

std::optional<std::string> WitnessOfOne(std::string_view pattern, PatternUse use) {
  const Glob glob(pattern);
  struct Node {
    std::uint32_t state;
    Name name;
    std::size_t before;  // index of the node before; itself: none
    char byte;
  };
  std::vector<Node> nodes;
  std::set<std::pair<std::uint32_t, std::string>> seen;
  const auto add = [&](const Glob::States& states, const Name& name, std::size_t before, char byte) {
    for (const std::uint32_t state : states)
      if (seen.emplace(state, name.State()).second) nodes.push_back({state, name, before, byte});
  };
  add(glob.Start(), Name(use), 0, 0);
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const Glob::States here{nodes[i].state};
    if (glob.Accepts(here) && nodes[i].name.MayEnd()) {
      std::string text;
      for (std::size_t at = i; nodes[at].byte != 0; at = nodes[at].before) text += nodes[at].byte;
      return std::string(text.rbegin(), text.rend());
    }
    for (const char byte : glob.NextBytes(here)) {
      Name name = nodes[i].name;
      if (name.Add(byte)) add(glob.Step(here, byte), name, i, byte);
    }
  }
  return std::nullopt;
}

ListWitness WitnessOfList(const std::vector<std::string>& patterns, PatternUse use) {
  struct Node {
    std::vector<Progress> progress;  // of each member
    Name name;
    std::string text;
  };
  std::size_t bytes = 0;
  std::vector<Member> members;
  for (const std::string& pattern : patterns) {
    bytes += pattern.size();
    members.emplace_back(pattern, use);
  }
  if (bytes > kMostBytes) return {std::nullopt, false};
  const std::string alphabet = Alphabet(members);
  std::deque<Node> open;
  open.push_back({{}, Name(use), ""});
  for (const Member& member : members) open[0].progress.push_back({member.glob.Start()});
  std::set<std::string> seen;
  for (; !open.empty(); open.pop_front()) {
    const Node& node = open.front();
    bool taken = false;
    std::string next = alphabet;
    for (std::size_t i = 0; i < members.size(); ++i) {
      if (node.progress[i].Matches(members[i])) taken = !members[i].excludes;
      for (const char byte : members[i].glob.NextBytes(node.progress[i].states))
        if (next.find(byte) == std::string::npos) next += byte;
    }
    if (taken && node.name.MayEnd()) return {node.text, true};
    for (const char byte : next) {
      Node after = node;
      if (!after.name.Add(byte)) continue;
      after.text += byte;
      std::string key = after.name.State();
      bool alive = false;
      for (std::size_t i = 0; i < members.size(); ++i) {
        Progress& progress = after.progress[i];
        progress.Add(members[i], byte);
        alive = alive || (!members[i].excludes && (progress.matched || !progress.states.empty()));
        key += progress.matched ? '+' : '-';
        for (const std::uint32_t state : progress.states) key += std::to_string(state) + ',';
      }
      if (!alive || !seen.insert(std::move(key)).second) continue;
      if (seen.size() > kMostNodes) return {std::nullopt, false};
      open.push_back(std::move(after));
    }
  }
  return {};
}

}  // namespace furrow::pipeline
