#include "common/pipeline/pattern.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "common/base/glob.h"
#include "common/pipeline/pattern_cures.h"
#include "common/pipeline/pattern_reader.h"
#include "common/pipeline/report.h"
#include "common/pipeline/witness.h"

namespace furrow {
namespace {

using pipeline::PatternReader;
using pipeline::Quoted;

constexpr std::size_t kMostCures = 8;             // that lead from one to the next
constexpr std::size_t kLongestCure = 200;         // bytes; a cut one would be another pattern
constexpr std::string_view kPlainBytes = "-./_";  // that need no quotes in YAML, beside letters and digits

bool IsWordByte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         kPlainBytes.find(c) != std::string_view::npos;
}

// Returns what is accepted of what a refusal proposes: each proposal is read as what people write is, and one that is
// refused is replaced by what that refusal proposes. Empty: there is nothing to propose.
std::vector<std::string> Accepted(const std::vector<std::string>& proposed, PatternUse use, std::size_t left) {
  std::vector<std::string> good;
  for (const std::string& one : proposed) {
    PatternReader reader(use);
    if (reader.Read(one)) {
      good.push_back(one);
    } else {
      const auto next = left > 0 ? Accepted(reader.instead(), use, left - 1) : std::vector<std::string>();
      if (next.empty()) return {};
      good.insert(good.end(), next.begin(), next.end());
    }
    if (good.size() > PatternReader::kMostAlternatives) return {};
  }
  return good;
}

// Returns patterns as an item of a list in furrow.yaml has to be written.
std::string AsList(const std::vector<std::string>& patterns) {
  std::string list;
  for (const std::string& one : patterns) {
    const bool plain = one.front() != '-' && std::all_of(one.begin(), one.end(), IsWordByte);
    list += (list.empty() ? "[" : ", ") + (plain ? one : "\"" + one + "\"");
  }
  return list + "]";
}

// Says what to write instead of `text`; empty: nothing that would be accepted is known.
std::string CureOf(std::string_view text, const std::vector<std::string>& proposed, PatternUse use) {
  const std::vector<std::string> good = Accepted(proposed, use, kMostCures);
  if (good.empty()) return "";
  std::string cure;
  if (good.size() == 1) {
    cure = good.front();
  } else if (use == PatternUse::kBranches && text.find('{') == std::string_view::npos) {
    cure = AsList(good);
    return cure.size() <= kLongestCure ? "a list of branches, " + cure : "";
  } else {
    cure = pipeline::Joined(good);
    if (!PatternReader(use).Read(cure)) return "";
  }
  return cure.size() <= kLongestCure ? "`" + cure + "`" : "";
}

}  // namespace

Result<std::vector<std::string>> ReadPattern(std::string_view text, PatternUse use) {
  PatternReader reader(use);
  auto read = reader.Read(text);
  if (read) return read;
  std::string cure = CureOf(text, reader.instead(), use);
  if (!reader.also().empty()) cure += (cure.empty() ? "" : ", or ") + reader.also();
  return Fail(read.error().code, read.error().message + (cure.empty() ? "" : "; write " + cure));
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
