#include "common/pipeline/pattern.h"

#include <algorithm>
#include <cctype>
#include <utility>

#include "common/base/glob.h"
#include "common/pipeline/report.h"
#include "common/pipeline/witness.h"

namespace furrow {
namespace {

using pipeline::Quoted;

constexpr std::size_t kLongest = 4096;     // bytes of a path or of a branch
constexpr std::size_t kLongestPart = 255;  // bytes of a file's name
constexpr std::size_t kMostAlternatives = 100;

constexpr const char* kNoBranch =
    "can match no branch: git allows none with a blank, `..`, `@{`, one of `~ ^ : \\`, a part that begins with a dot "
    "or "
    "ends with `.lock`, or a dot at its end";

const char* PlaceOf(PatternUse use) {
  return use == PatternUse::kArtifacts ? "workspace" : "repository";
}

tl::unexpected<Error> Write(const std::string& why, const std::string& instead) {
  return Fail(Errc::kInvalid, why + "; write " + Quoted(instead));
}

// ---- what is wrong wherever it stands ----

bool IsBlank(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

Status CheckCharacters(std::string_view text) {
  if (text.empty()) return Fail(Errc::kInvalid, "is empty; `**` matches all");
  if (text.size() > kLongest) return Fail(Errc::kInvalid, "may be at most 4096 bytes long");
  std::string_view core = text;
  while (!core.empty() && IsBlank(core.front())) core.remove_prefix(1);
  while (!core.empty() && IsBlank(core.back())) core.remove_suffix(1);
  if (core.empty()) return Fail(Errc::kInvalid, "is blank; `**` matches all");
  if (core.find('\n') != std::string_view::npos)
    return Fail(Errc::kInvalid, "has several lines; make each of them an item of the list");
  if (core.size() != text.size()) return Write("has a blank at its start or end", std::string(core));
  for (const char c : text)
    if (static_cast<unsigned char>(c) < ' ' || c == 0x7F)
      return Fail(Errc::kInvalid, "holds a control character; `?` stands for any character");
  return {};
}

Status CheckBackslash(std::string_view text) {
  const std::size_t at = text.find('\\');
  if (at == std::string_view::npos) return {};
  const char next = at + 1 < text.size() ? text[at + 1] : '\0';
  if (next != '\0' && std::string_view("*?[]{}!.$").find(next) != std::string_view::npos)
    return Fail(Errc::kInvalid,
                "has a backslash, which escapes nothing here; write " +
                    Quoted(next == '.' || next == ']' ? std::string{next} : std::string{'[', next, ']'}) +
                    " for the character itself");
  std::string slashes(text);
  std::replace(slashes.begin(), slashes.end(), '\\', '/');
  return Write("has a backslash; folders are parted by `/`", slashes);
}

// Variables are not replaced in patterns, and patterns are not regular expressions.
Status CheckForeign(std::string_view text) {
  for (std::size_t at = text.find('$'); at != std::string_view::npos; at = text.find('$', at + 1)) {
    const bool starts = at == 0 || text[at - 1] == '/';
    const char next = at + 1 < text.size() ? text[at + 1] : '\0';
    if (next == '{' || next == '(' || (starts && (std::isalpha(static_cast<unsigned char>(next)) || next == '_')))
      return Fail(Errc::kInvalid,
                  "names a variable, which is not replaced in patterns; write its value, or `[$]` for the "
                  "character");
    if (next == '\0')
      return Fail(Errc::kInvalid,
                  "ends with `$`: it is a pattern with `*`, `**` and `?`, no regular expression, and "
                  "matches the whole name; `[$]` is the character");
  }
  if (text.starts_with('^'))
    return Fail(Errc::kInvalid,
                "begins with `^`: it is a pattern with `*`, `**` and `?`, no regular expression, and "
                "matches the whole name");
  if (text.find("://") != std::string_view::npos)
    return Fail(Errc::kInvalid, "is an address, not a part of the repository");
  return {};
}

Status CheckSets(std::string_view text) {
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] != '[') continue;
    const std::size_t length = SetLength(text.substr(at));
    if (length == 0)
      return Fail(Errc::kInvalid,
                  "has a `[` that no `]` closes in the same part; write `[[]` for the character itself");
    const std::string_view set = text.substr(at, length);
    if (std::any_of(set.begin(), set.end(), [](char c) { return static_cast<unsigned char>(c) >= 0x80; }))
      return Fail(Errc::kInvalid, "has characters beyond ASCII in " + Quoted(set) + "; write them as `{ä,ö}`");
    for (std::size_t i = 2; i + 2 < set.size(); ++i)
      if (set[i] == '-' && set[i - 1] > set[i + 1])
        return Write("has the range " + Quoted(set.substr(i - 1, 3)) + ", in which nothing lies",
                     std::string{set[i + 1], '-', set[i - 1]});
    at += length - 1;
  }
  return {};
}

// ---- alternatives ----

// Writes out the first braces of `text` and all behind them.
Status WriteOut(const std::string& text, std::vector<std::string>& out) {
  std::size_t open = std::string::npos;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (const std::size_t set = SetLength(std::string_view(text).substr(at)); set > 0) {
      at += set - 1;
    } else if (text[at] == '}') {
      return Fail(Errc::kInvalid, "has a `}` without its `{`; write `[}]` for the character itself");
    } else if (text[at] == '{') {
      open = at;
      break;
    }
  }
  if (open == std::string::npos) {
    if (out.size() >= kMostAlternatives)
      return Fail(Errc::kInvalid, "stands for over 100 patterns; write fewer alternatives in braces");
    out.push_back(text);
    return {};
  }
  std::vector<std::string> alternatives{""};
  std::size_t depth = 0, at = open;
  for (; at < text.size(); ++at) {
    const char c = text[at];
    if (const std::size_t set = SetLength(std::string_view(text).substr(at)); set > 0) {
      alternatives.back() += text.substr(at, set);
      at += set - 1;
      continue;
    }
    if (c == '}' && --depth == 0) break;
    if (c == ',' && depth == 1) {
      alternatives.emplace_back();
      continue;
    }
    if (c != '{' || ++depth > 1) alternatives.back() += c;
  }
  if (at == text.size())
    return Fail(Errc::kInvalid, "has a `{` that no `}` closes; write `[{]` for the character itself");
  if (alternatives.size() == 1)
    return Fail(Errc::kInvalid, "has braces without a choice; write " + Quoted("{" + alternatives[0] + ",OTHER}") +
                                    ", or " + "`[{]` for the character itself");
  for (const std::string& alternative : alternatives)
    FURROW_TRY(WriteOut(text.substr(0, open) + alternative + text.substr(at + 1), out));
  return {};
}

// ---- one alternative ----

Result<std::string> ReadBranch(const std::string& text) {
  if (text == "HEAD") return Fail(Errc::kInvalid, "is no branch; name the branches, such as `main`");
  for (const std::string_view prefix : {"refs/heads/", "refs/remotes/origin/", "remotes/origin/", "heads/", "origin/"})
    if (text.starts_with(prefix) && text.size() > prefix.size())
      return Fail(Errc::kInvalid, "has " + Quoted(prefix) + " before the branch's name; write " +
                                      Quoted(text.substr(prefix.size())) +
                                      (prefix == "origin/" || prefix == "heads/"
                                           ? ", or " + Quoted(std::string{'[', text[0], ']'} + text.substr(1)) +
                                                 " if the branch is really called so"
                                           : ""));
  if (text.starts_with("refs/tags/") || text.starts_with("tags/"))
    return Fail(Errc::kInvalid, "names tags, and only pushes of branches start runs; write the names of branches");
  if (text.starts_with("refs/")) return Fail(Errc::kInvalid, "names no branch; write its name, such as `main`");
  for (const char mark : {',', '|'})
    if (text.find(mark) != std::string::npos) {
      std::string list = text;
      for (std::size_t at = 0; (at = list.find(mark, at)) != std::string::npos; at += 2) list.replace(at, 1, ", ");
      return Fail(Errc::kInvalid, "has a `" + std::string{mark} + "`; write a list of branches, [" + list + "], or `[" +
                                      mark + "]` for the character itself");
    }
  std::string plain;  // without what no branch begins or ends with, or has twice
  for (std::size_t at = text.starts_with("./") ? 2 : 0; at < text.size(); ++at)
    if (text[at] != '/' || (!plain.empty() && plain.back() != '/')) plain += text[at];
  if (text.ends_with('/') && !plain.empty()) {
    while (plain.ends_with('/')) plain.pop_back();
    return Write("ends with `/`, which no branch does", plain + "/**");
  }
  if (plain != text && !plain.empty())
    return Write(text.starts_with('/') ? "begins with `/`, which no branch does" : "has a part that no branch has",
                 plain);
  if (!pipeline::WitnessOfOne(text, PatternUse::kBranches)) return Fail(Errc::kInvalid, kNoBranch);
  return text;
}

Result<std::string> ReadPath(const std::string& text, PatternUse use) {
  const std::string place = PlaceOf(use);
  if (text.starts_with('/'))
    return Fail(
        Errc::kInvalid,
        "must be relative to the " + place + ", not " + Quoted(text) + "; write " +
            Quoted(text.find_first_not_of('/') == std::string::npos ? "**" : text.substr(text.find_first_not_of('/'))) +
            " for what lies in it");
  if (text == "~" || text.starts_with("~/"))
    return Fail(Errc::kInvalid, "must be relative to the " + place + ": `~` is no home here");
  if (text.size() > 2 && std::isalpha(static_cast<unsigned char>(text[0])) != 0 && text.substr(1, 2) == ":/")
    return Write("must be relative to the " + place, text.substr(3));
  if (text.find('|') != std::string::npos)
    return Fail(Errc::kInvalid,
                "has a `|`; write each alternative as an item of the list or as `{a,b}`, and `[|]` for the "
                "character itself");
  std::string path;
  for (std::size_t start = 0; start <= text.size();) {
    const std::size_t slash = std::min(text.find('/', start), text.size());
    const std::string part = text.substr(start, slash - start);
    start = slash + 1;
    if (part == "..") return Fail(Errc::kInvalid, "may not leave the " + place + " by `..`: " + Quoted(text));
    if (part.empty() || part == ".") continue;
    if (part.size() > kLongestPart && !HasWildcard(part))
      return Fail(Errc::kInvalid, "has a part of over 255 bytes, which no file's name has");
    path += (path.empty() ? "" : "/") + part;
  }
  if (path.empty()) return Fail(Errc::kInvalid, "must name something in the " + place + "; `**` is all of it");
  // In artifacts a folder stands for what is beneath it anyway.
  if (use == PatternUse::kPaths && text.ends_with('/') && !path.ends_with("**")) path += "/**";
  if (!pipeline::WitnessOfOne(path, use))
    return Fail(Errc::kInvalid, use == PatternUse::kPaths ? "can match no file of a commit: git keeps none in `.git`"
                                                          : "can match no file");
  return path;
}

// Reads what stands behind the `!` of a pattern, or the whole of one without it.
Result<std::vector<std::string>> ReadWithoutMark(const std::string& text, PatternUse use) {
  FURROW_TRY(CheckBackslash(text));
  FURROW_TRY(CheckForeign(text));
  FURROW_TRY(CheckSets(text));
  std::vector<std::string> written, read;
  FURROW_TRY(WriteOut(text, written));
  for (const std::string& one : written) {
    if (one.empty()) return Fail(Errc::kInvalid, "stands for an empty pattern, too; `**` matches all");
    FURROW_ASSIGN(std::string good, use == PatternUse::kBranches ? ReadBranch(one) : ReadPath(one, use));
    read.push_back(std::move(good));
  }
  return read;
}

}  // namespace

Result<std::vector<std::string>> ReadPattern(std::string_view text, PatternUse use) {
  FURROW_TRY(CheckCharacters(text));
  if (!text.starts_with('!')) return ReadWithoutMark(std::string(text), use);
  const std::string rest(text.substr(1));
  if (rest.empty()) return Fail(Errc::kInvalid, "excludes nothing: write what to leave out behind the `!`");
  if (IsBlank(rest[0])) {
    const auto word = std::find_if_not(rest.begin(), rest.end(), IsBlank);
    return Write("has a blank behind `!`", "!" + std::string(word, rest.end()));
  }
  if (rest.starts_with('!')) return Write("excludes twice", rest);
  auto read = ReadWithoutMark(rest, use);
  // What to write instead is said of the rest alone, and would take in without its `!` what it was to leave out.
  if (!read) return Fail(read.error().code, "behind its `!` it " + read.error().message);
  for (std::string& one : *read) one.insert(0, 1, '!');
  return read;
}

Status CheckPatterns(const std::vector<std::string>& patterns, PatternUse use) {
  const auto excludes = [](const std::string& pattern) { return pattern.starts_with('!'); };
  if (std::none_of(patterns.begin(), patterns.end(), excludes)) return {};
  if (excludes(patterns.front()))
    return Fail(Errc::kInvalid,
                "begins with " + Quoted(patterns.front()) +
                    ", which has nothing yet to exclude from: the last pattern that matches decides; write "
                    "`**` or what is meant before it");
  const pipeline::ListWitness witness = pipeline::WitnessOfList(patterns, use);
  if (witness.sure && !witness.text)
    return Fail(Errc::kInvalid, "excludes all that it takes; the last pattern that matches decides");
  return {};
}

std::optional<std::string> WitnessOf(const std::vector<std::string>& patterns, PatternUse use) {
  if (patterns.size() == 1) return pipeline::WitnessOfOne(patterns.front(), use);
  return pipeline::WitnessOfList(patterns, use).text;
}

bool Takes(const std::vector<std::string>& patterns, std::string_view text, PatternUse use) {
  bool taken = false;
  for (std::string_view pattern : patterns) {
    const bool excludes = pattern.starts_with('!');
    if (excludes) pattern.remove_prefix(1);
    bool matches = GlobMatch(pattern, text);
    if (pipeline::StandsForFolders(pattern, use))
      for (std::size_t slash = text.find('/'); !matches && slash != std::string_view::npos;
           slash = text.find('/', slash + 1))
        matches = GlobMatch(pattern, text.substr(0, slash));
    if (matches) taken = !excludes;
  }
  return taken;
}

}  // namespace furrow
