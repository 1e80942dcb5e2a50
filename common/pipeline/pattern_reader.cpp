#include "common/pipeline/pattern_reader.h"

#include <algorithm>

#include "common/base/glob.h"
#include "common/base/text.h"
#include "common/pipeline/pattern_cures.h"
#include "common/pipeline/report.h"
#include "common/pipeline/witness.h"

namespace furrow::pipeline {
namespace {

constexpr std::size_t kLongest = 4096;     // bytes of a path or of a branch
constexpr std::size_t kLongestPart = 255;  // bytes of a file's name

constexpr const char* kNoBranch =
    "can match no branch: git allows none with a blank, `..`, `@{`, one of `~ ^ : \\`, a part that begins with a dot "
    "or ends with `.lock`, or a dot at its end";
constexpr const char* kNoRegex =
    "it is a pattern with `*`, `**` and `?`, no regular expression, and matches the whole name";

const char* PlaceOf(PatternUse use) {
  return use == PatternUse::kArtifacts ? "workspace" : "repository";
}

}  // namespace

tl::unexpected<Error> PatternReader::Refuse(std::string why, Strings instead, std::string also) {
  instead_ = std::move(instead);
  also_ = std::move(also);
  return Fail(Errc::kInvalid, std::move(why));
}

// ---- what is wrong wherever it stands ----

Status PatternReader::CheckCharacters(std::string_view text) {
  if (text.empty()) return Refuse("is empty; `**` matches all");
  if (text.size() > kLongest) return Refuse("may be at most 4096 bytes long");
  const std::string core = Trimmed(text);
  if (core.empty()) return Refuse("is blank; `**` matches all");
  if (core.find('\n') != std::string::npos) {
    Strings lines = Split(core, '\n');
    std::erase(lines, "");
    return Refuse("has several lines; make each of them an item of the list", lines);
  }
  if (core.size() != text.size()) return Refuse("has a blank at its start or end", {core});
  if (core.size() > 2 && core.front() == core.back() &&
      std::string_view("'\"`").find(core.front()) != std::string::npos)
    return Refuse("has quotes within its quotes", {core.substr(1, core.size() - 2)},
                  "`?` for each of them if they are meant");
  const std::string_view hidden = FirstHidden(text);
  if (hidden.empty()) return {};
  if (Utf8CharacterSize(hidden) == 0) return Refuse("is not UTF-8: it holds the byte " + CharacterName(hidden));
  std::string without(text);
  const bool blank = Plain(hidden) == hidden;
  without.replace(static_cast<std::size_t>(hidden.data() - text.data()), hidden.size(), blank ? " " : "");
  return Refuse("holds the character " + CharacterName(hidden) + ", which nobody sees or can tell from a blank",
                {without}, "`?` in its place if it is meant");
}

Status PatternReader::CheckBackslash(const std::string& text) {
  if (text.find('\\') == std::string::npos) return {};
  std::string slashes, escaped;
  bool escapes = false;
  for (std::size_t at = 0; at < text.size(); ++at) {
    slashes += text[at] == '\\' ? '/' : text[at];
    const char next = at + 1 < text.size() ? text[at + 1] : '\0';
    if (text[at] != '\\' || next == '\0' || IsAlnum(next) || next == '_' || next == '/' || next == '\\' ||
        static_cast<unsigned char>(next) >= 0x80) {
      const char after = at + 2 < text.size() ? text[at + 2] : '\0';
      if (text[at] == '\\' && std::string_view("dDwWsSbB").find(next) != std::string_view::npos &&
          (after == '+' || after == '*' || after == '?' || after == '{'))
        return Refuse("has a `" + std::string{'\\', next} + "`: " + kNoRegex + "; `[0-9]` is a digit");
      escaped += text[at];
      continue;
    }
    escapes = true;
    if (next == '!')
      escaped += escaped.empty() ? '?' : '!';  // a set may not begin with it
    else if (std::string_view("*?[{}$,|").find(next) != std::string_view::npos)
      escaped += {'[', next, ']'};
    else
      escaped += next;
    slashes += text[++at];
  }
  // A shell escapes parentheses and plus signs, too; a regular expression means something else with them.
  const bool regex = escapes && (text.find('+') != std::string::npos || text.find('(') != std::string::npos) &&
                     text.find("\\+") == std::string::npos && text.find("\\(") == std::string::npos;
  if (regex) return Refuse("has a backslash: " + std::string(kNoRegex), FromRegex(text));
  if (escapes) return Refuse("has a backslash, which escapes nothing here", {escaped});
  return Refuse("has a backslash; folders are parted by `/`", {slashes});
}

// Variables are not replaced in patterns, and patterns are not regular expressions.
Status PatternReader::CheckForeign(const std::string& text) {
  std::size_t variable = std::string::npos;
  EachOutsideSets(text, [&](std::size_t at) {
    if (text[at] != '$' || variable != std::string::npos) return;
    const char next = at + 1 < text.size() ? text[at + 1] : '\0';
    if (next == '{' || next == '(' || ((at == 0 || text[at - 1] == '/') && (IsAlpha(next) || next == '_')))
      variable = at;
  });
  if (variable != std::string::npos)
    return Refuse("names a variable, which is not replaced in patterns; write its value, or `[$]` for the character");
  for (const std::string_view group : {"(?!", "(?=", "(?:", "(?<", "(?i"})
    if (text.find(group) != std::string::npos) return Refuse("has a " + Quoted(group) + ": " + kNoRegex);
  if (text.starts_with('^')) return Refuse("begins with `^`: " + std::string(kNoRegex), FromRegex(text));
  if (text.ends_with('$'))
    return Refuse("ends with `$`: " + std::string(kNoRegex), FromRegex(text), "`[$]` for the character itself");
  if (text.find("://") != std::string::npos) return Refuse("is an address, not a part of the repository");
  return {};
}

Status PatternReader::CheckSets(const std::string& text) {
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] != '[') continue;
    const std::string before = text.substr(0, at);
    const std::size_t length = SetLength(std::string_view(text).substr(at));
    if (length == 0 && use_ == PatternUse::kBranches)
      return Refuse("has a `[` that no `]` closes in the same part, and no branch has one in its name");
    if (length == 0)
      return Refuse("has a `[` that no `]` closes in the same part", {}, "`[[]` for the character itself");
    const std::string set = text.substr(at, length), behind = text.substr(at + length);
    at += length - 1;
    if (std::any_of(set.begin(), set.end(), [](char c) { return static_cast<unsigned char>(c) >= 0x80; }))
      return Refuse("has characters beyond ASCII in " + Quoted(set) + "; write them as `{ä,ö}`");
    const bool negated = set[1] == '!' || set[1] == '^';
    const std::size_t first = negated ? 2 : 1;
    for (const std::string_view mark : {":", ".", "="}) {
      // A class of POSIX is a pair of brackets within the set. What SetLength does not know it reads as characters.
      const std::string open = "[" + std::string(mark), close = std::string(mark) + "]";
      if (set.find(open, first) == std::string::npos || !set.ends_with(close) || set.ends_with(close + "]")) continue;
      return Refuse("has a class in " + Quoted(set + (behind.starts_with(']') ? "]" : "")) +
                    " that is not known; these are: `[[:alnum:]]`, `[[:alpha:]]`, `[[:digit:]]`, `[[:lower:]]`, "
                    "`[[:punct:]]`, `[[:space:]]`, `[[:upper:]]`, `[[:xdigit:]]`");
    }
    if (!negated && set.size() > 4 && set.starts_with("[:") && set.ends_with(":]"))
      return Refuse("has " + Quoted(set) + ", which stands for one of these letters",
                    {before + "[" + set + "]" + behind});
    const std::string inside = set.substr(first, set.size() - first - 1);
    for (const char mark : {',', '|'}) {
      const std::size_t found = inside.find(mark, 1);
      if (found == std::string::npos || found + 1 >= inside.size()) continue;
      Strings pieces;
      for (std::string piece : Split(inside, mark)) {
        if (piece.size() > 1 && (piece[0] == '"' || piece[0] == '\'') && piece.back() == piece[0])
          piece = piece.substr(1, piece.size() - 2);
        pieces.push_back(piece);
      }
      const std::string why =
          "has a `" + std::string{mark} + "` within " + Quoted(set) + ", a set, which stands for one character";
      const std::string also = "the `" + std::string{mark} + "` at the end of the set if it belongs to it";
      if (negated) return Refuse(why, {}, also);
      if (use_ == PatternUse::kBranches && before.empty() && behind.empty()) return Refuse(why, pieces, also);
      return Refuse(why, {before + Joined(pieces) + behind}, also);
    }
    if (behind.starts_with('+'))
      return Refuse("has a `+` behind " + Quoted(set) + ", which repeats nothing here",
                    {before + set + "*" + behind.substr(1)}, "`[+]` for the character itself");
    for (std::size_t i = 2; i + 2 < set.size(); ++i)
      if (set[i] == '-' && set[i - 1] > set[i + 1])
        return Refuse("has the range " + Quoted(set.substr(i - 1, 3)) + ", in which nothing lies",
                      {before + set.substr(0, i - 1) + set[i + 1] + '-' + set[i - 1] + set.substr(i + 2) + behind});
  }
  return {};
}

// ---- alternatives ----

// Blanks beside a comma would belong to the names, and nobody means that.
Status PatternReader::CheckChoices(const std::string& text) {
  std::string tight;
  std::size_t depth = 0, copied = 0;
  const auto ends = [](const std::string& written) {
    return !written.empty() && (written.back() == '{' || written.back() == ',');
  };
  EachOutsideSets(text, [&](std::size_t at) {
    tight += text.substr(copied, at - copied);
    copied = at + 1;
    const char c = text[at];
    if (c == '{') ++depth;
    if (depth > 0 && (c == ',' || c == '}'))
      while (!tight.empty() && IsBlank(tight.back())) tight.pop_back();
    if (c == '}' && depth > 0) --depth;
    if (depth == 0 || !IsBlank(c) || !ends(tight)) tight += c;
  });
  tight += text.substr(copied);
  if (tight == text) return {};
  return Refuse("has a blank at an end of an alternative in braces", {tight});
}

// Writes out the first braces of `text` and all behind them.
Status PatternReader::WriteOut(const std::string& text, std::vector<std::string>& out) {
  std::size_t open = std::string::npos;
  bool closed_first = false;
  EachOutsideSets(text, [&](std::size_t at) {
    if (open != std::string::npos || closed_first) return;
    if (text[at] == '}') closed_first = true;
    if (text[at] == '{') open = at;
  });
  if (closed_first) return Refuse("has a `}` without its `{`", {}, "`[}]` for the character itself");
  if (open == std::string::npos) {
    if (out.size() >= kMostAlternatives)
      return Refuse("stands for over 100 patterns; write fewer alternatives in braces");
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
  if (at == text.size()) return Refuse("has a `{` that no `}` closes", {}, "`[{]` for the character itself");
  const std::string before = text.substr(0, open), behind = text.substr(at + 1);
  if (alternatives.size() == 1) {
    const Strings sequence = Sequence(alternatives[0]);
    const bool nested = alternatives[0].find('{') != std::string::npos;
    return Refuse("has braces without a choice",
                  {before +
                   (!sequence.empty() ? Joined(sequence)
                    : nested          ? alternatives[0]
                                      : "{" + alternatives[0] + ",OTHER}") +
                   behind},
                  "`[{]` for the character itself");
  }
  for (const std::string& alternative : alternatives) FURROW_TRY(WriteOut(before + alternative + behind, out));
  return {};
}

// ---- one alternative ----

Result<std::string> PatternReader::ReadBranch(const std::string& text) {
  if (text == "HEAD") return Refuse("is no branch; name the branches, such as `main`");
  for (const std::string prefix : {"refs/heads/", "refs/remotes/origin/", "remotes/origin/", "heads/", "origin/"}) {
    if (!text.starts_with(prefix) || text.size() == prefix.size()) continue;
    const std::string real = (excludes_ ? "![" : "[") + std::string{text[0], ']'} + text.substr(1);
    const bool may_be_real = (prefix == "origin/" || prefix == "heads/") && PatternReader(use_).Read(real).has_value();
    return Refuse("has " + Quoted(prefix) + " before the branch's name", {text.substr(prefix.size())},
                  may_be_real ? Quoted(real) + " if the branch is really called so" : "");
  }
  if (text.starts_with("refs/tags/") || text.starts_with("tags/"))
    return Refuse("names tags, and only pushes of branches start runs; write the names of branches");
  if (text.starts_with("refs/")) return Refuse("names no branch; write its name, such as `main`");
  for (const char mark : {',', '|'}) {
    bool has = false;
    EachOutsideSets(text, [&](std::size_t at) { has = has || text[at] == mark; });
    if (has)
      return Refuse("has a `" + std::string{mark} + "`, which parts nothing here",
                    mark == '|' ? BarAlternatives(text) : Split(text, mark),
                    "`[" + std::string{mark} + "]` for the character itself");
  }
  std::string plain;  // without what no branch begins or ends with, or has twice
  for (std::size_t at = text.starts_with("./") ? 2 : 0; at < text.size(); ++at)
    if (text[at] != '/' || (!plain.empty() && plain.back() != '/')) plain += text[at];
  if (text.ends_with('/') && !plain.empty()) {
    while (plain.ends_with('/')) plain.pop_back();
    return Refuse("ends with `/`, which no branch does", {plain + "/**"});
  }
  if (plain != text && !plain.empty())
    return Refuse(text.starts_with('/') ? "begins with `/`, which no branch does" : "has a part that no branch has",
                  {plain});
  if (WitnessOfOne(text, PatternUse::kBranches)) return text;
  if (text.find(".*") != std::string::npos || text.find(".+") != std::string::npos)
    return Refuse(kNoBranch, FromRegex(text));
  const std::string straight = WithoutDots(text);
  return Refuse(kNoBranch, straight.empty() || straight == text ? Strings() : Strings{straight});
}

Result<std::string> PatternReader::ReadPath(const std::string& text) {
  const std::string place = PlaceOf(use_);
  if (text.starts_with('/')) {
    const std::string within = WithoutSlashes(text);
    return Refuse("must be relative to the " + place + ", not " + Quoted(text), {within.empty() ? "**" : within});
  }
  if (text == "~" || text.starts_with("~/"))
    return Refuse("must be relative to the " + place + ": `~` is no home here");
  if (text.size() > 2 && IsAlpha(text[0]) && text.substr(1, 2) == ":/") {
    const std::string within = WithoutSlashes(text.substr(3));
    return Refuse("must be relative to the " + place, within.empty() ? Strings() : Strings{within});
  }
  bool bar = false;
  EachOutsideSets(text, [&](std::size_t at) { bar = bar || text[at] == '|'; });
  if (bar)
    return Refuse("has a `|`, which parts nothing here", BarAlternatives(text), "`[|]` for the character itself");
  // A comma may be a part of a name; the one that a person puts between two patterns is known by what is beside it.
  const Strings pieces = Split(text, ',');
  const bool several =
      pieces.size() > 1 && (text.find(", ") != std::string::npos || text.find(" ,") != std::string::npos ||
                            std::all_of(pieces.begin(), pieces.end(),
                                        [](const std::string& piece) { return piece.find('*') != std::string::npos; }));
  if (several) return Refuse("has a `,`, which parts nothing here", pieces, "`[,]` for the character itself");
  std::string path;
  for (std::size_t start = 0; start <= text.size();) {
    const std::size_t slash = std::min(text.find('/', start), text.size());
    const std::string part = text.substr(start, slash - start);
    start = slash + 1;
    if (part == "..") {
      const std::string straight = WithoutDots(text);
      return Refuse("may not leave the " + place + " by `..`: " + Quoted(text),
                    straight.empty() ? Strings() : Strings{straight});
    }
    if (part.empty() || part == ".") continue;
    if (part.size() > kLongestPart && !HasWildcard(part))
      return Refuse("has a part of over 255 bytes, which no file's name has");
    path += (path.empty() ? "" : "/") + part;
  }
  if (path.empty()) return Refuse("must name something in the " + place + "; `**` is all of it");
  // In artifacts a folder stands for what is beneath it anyway.
  if (use_ == PatternUse::kPaths && text.ends_with('/') && !path.ends_with("**")) path += "/**";
  if (!WitnessOfOne(path, use_))
    return Refuse(use_ == PatternUse::kPaths ? "can match no file of a commit: git keeps none in `.git`"
                                             : "can match no file");
  return path;
}

// Reads what stands behind the `!` of a pattern, or the whole of one without it.
Result<std::vector<std::string>> PatternReader::ReadWithoutMark(const std::string& text) {
  FURROW_TRY(CheckBackslash(text));
  FURROW_TRY(CheckForeign(text));
  FURROW_TRY(CheckSets(text));
  FURROW_TRY(CheckChoices(text));
  std::vector<std::string> written, read;
  FURROW_TRY(WriteOut(text, written));
  if (std::find(written.begin(), written.end(), "") != written.end()) {
    std::erase(written, "");
    return Refuse("stands for an empty pattern, too; `**` matches all", written);
  }
  for (std::size_t i = 0; i < written.size(); ++i) {
    auto good = use_ == PatternUse::kBranches ? ReadBranch(written[i]) : ReadPath(written[i]);
    if (!good) {
      if (written.size() > 1) {
        // What is proposed for one alternative takes its place among the others.
        Strings whole(written.begin(), written.begin() + static_cast<std::ptrdiff_t>(i));
        whole.insert(whole.end(), instead_.begin(), instead_.end());
        whole.insert(whole.end(), written.begin() + static_cast<std::ptrdiff_t>(i) + 1, written.end());
        instead_ = instead_.empty() ? Strings() : Strings{Joined(whole)};
      }
      return tl::unexpected(good.error());
    }
    read.push_back(std::move(*good));
  }
  return read;
}

Result<std::vector<std::string>> PatternReader::Read(std::string_view text) {
  FURROW_TRY(CheckCharacters(text));
  if (!text.starts_with('!')) return ReadWithoutMark(std::string(text));
  const std::string rest(text.substr(1));
  if (rest.empty()) return Refuse("excludes nothing: write what to leave out behind the `!`");
  if (IsBlank(rest[0])) return Refuse("has a blank behind `!`", {"!" + Trimmed(rest)});
  if (rest.starts_with('!')) return Refuse("excludes twice", {rest});
  excludes_ = true;
  auto read = ReadWithoutMark(rest);
  if (!read) {
    for (std::string& one : instead_) one.insert(0, 1, '!');
    return Fail(read.error().code, "behind its `!` it " + read.error().message);
  }
  for (std::string& one : *read) one.insert(0, 1, '!');
  return read;
}

}  // namespace furrow::pipeline
