#include "common/pipeline/file_uses.h"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>

#include "common/base/glob.h"
#include "common/pipeline/pipeline.h"
#include "common/pipeline/values.h"
#include "common/pipeline/words.h"

namespace furrow::pipeline {

namespace {

using Jobs = std::unordered_map<std::string_view, const JobSpec*>;

// Returns a path below the workspace as PlainPath does; none: the path leaves it, or is the agent's.
std::optional<std::string> Inside(std::string_view path) {
  std::string inside = PlainPath(path);
  if (inside.empty() || inside.starts_with('/') || inside == ".." || inside.starts_with("../")) return std::nullopt;
  return inside;
}

std::string_view FolderOf(std::string_view path) {
  const auto slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string_view{} : path.substr(0, slash);
}

// Returns whether an artifact is the file, or a folder that it lies in.
bool Covers(std::string_view artifact, std::string_view path) {
  for (;; path = FolderOf(path)) {
    if (path.empty()) return false;
    if (GlobMatch(artifact, path)) return true;
  }
}

// Returns whether a file that an artifact covers may lie in `folder`.
bool MayBeIn(std::string_view artifact, std::string_view folder) {
  return artifact.find_first_of("*?") != std::string_view::npos || artifact.starts_with(std::string(folder) + "/") ||
         Covers(artifact, folder);
}

bool AnyArtifact(const JobSpec& job, bool (*fits)(std::string_view, std::string_view), std::string_view path) {
  return std::any_of(job.artifacts.begin(), job.artifacts.end(),
                     [&](const std::string& artifact) { return fits(artifact, path); });
}

// Returns whether a field of a CSV line is a number.
bool IsNumber(std::string_view field) {
  constexpr std::string_view kBlanks = " \t\r";
  field.remove_prefix(std::min(field.size(), field.find_first_not_of(kBlanks)));
  while (!field.empty() && kBlanks.find(field.back()) != std::string_view::npos) field.remove_suffix(1);
  if (field.size() >= 2 && field.front() == '"' && field.back() == '"') field = field.substr(1, field.size() - 2);
  return ParseNumber(field).has_value();
}

// Returns whether the first line of a CSV file that is not blank has two numbers or more, and nothing else.
bool StartsWithNumbers(std::string_view text) {
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  text.remove_prefix(std::min(text.size(), text.find_first_not_of(" \t\r\n")));
  const auto end = text.find_first_of("\r\n");
  if (end == std::string_view::npos) return false;  // the line may go on
  text = text.substr(0, end);
  bool several = false;
  for (;;) {
    const auto comma = text.find(',');
    if (!IsNumber(text.substr(0, comma))) return false;
    if (comma == std::string_view::npos) return several;
    several = true;
    text.remove_prefix(comma + 1);
  }
}

// Returns a name as a shell has to read it.
std::string ShellWord(const std::string& name) {
  if (name.starts_with('-')) return ShellWord("./" + name);  // no option
  const bool plain = std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("/._-+@%,").find(c) != std::string_view::npos;
  });
  if (plain) return name;
  std::string word = "'";
  for (const char c : name) word += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return word + "'";
}

class Checker {
 public:
  Checker(const std::vector<JobSpec>& jobs, const std::vector<std::vector<FileUse>>& uses, const SourceFiles& sources,
          Report& report)
      : jobs_(jobs), uses_(uses), sources_(sources), report_(report) {
    for (const JobSpec& job : jobs) by_name_.emplace(job.name, &job);
  }

  // Checks the files of one job.
  void Check(std::size_t index) {
    const JobSpec& job = jobs_[index];
    const std::vector<FileUse>& uses = uses_[index];
    std::vector<const JobSpec*> needed;
    for (const std::string& need : job.needs) {
      const auto found = by_name_.find(need);
      if (found == by_name_.end()) return;  // reported already; the files of this job cannot be known
      needed.push_back(found->second);
    }
    for (const FileUse& use : uses) {
      if (report_.full()) return;  // who makes a file is looked up among all jobs
      const auto path = Inside(use.path);
      const auto first = job.steps.begin();
      const bool anything = std::any_of(first, first + static_cast<std::ptrdiff_t>(use.step), [](const Step& step) {
        return std::holds_alternative<RunStep>(step.action) || std::holds_alternative<ExecStep>(step.action);
      });
      if (!path || anything) continue;  // a program before it may have made everything
      if (use.kind == FileUse::Kind::kWritten) {
        CheckWritten(use, *path, needed);
      } else {
        CheckRead(job, use, *path, needed, uses);
      }
    }
  }

 private:
  void CheckWritten(const FileUse& use, const std::string& path, const std::vector<const JobSpec*>& needed) {
    if (sources_.Look(path) == SourceFiles::Kind::kFolder) {
      return report_.Add(use.position, use.named + " is " + Quoted(use.path) + ", a folder; name a file in it");
    }
    const std::string folder(FolderOf(path));
    if (folder.empty()) return;
    const SourceFiles::Kind kind = sources_.Look(folder);
    const bool made = std::any_of(needed.begin(), needed.end(),
                                  [&](const JobSpec* job) { return AnyArtifact(*job, MayBeIn, folder); });
    if (kind == SourceFiles::Kind::kFolder || made) return;
    for (std::string_view above = folder; !above.empty(); above = FolderOf(above)) {
      if (sources_.Look(std::string(above)) != SourceFiles::Kind::kFile) continue;
      return report_.Add(use.position, use.named + " is " + Quoted(use.path) + ", but " + Quoted(above) +
                                           " is a file; name another place");
    }
    report_.Add(use.position, use.named + " is " + Quoted(use.path) + ", but there is no folder " + Quoted(folder) +
                                  "; write it elsewhere, or make the folder in a step before: `- run: mkdir -p " +
                                  ShellWord(folder) + "`");
  }

  void CheckRead(const JobSpec& job, const FileUse& use, const std::string& path,
                 const std::vector<const JobSpec*>& needed, const std::vector<FileUse>& uses) {
    const bool written = std::any_of(uses.begin(), uses.end(), [&](const FileUse& other) {
      return other.kind == FileUse::Kind::kWritten && other.step < use.step && Inside(other.path) == path;
    });
    const bool made = std::any_of(needed.begin(), needed.end(),
                                  [&](const JobSpec* other) { return AnyArtifact(*other, Covers, path); });
    if (written || made) return;
    switch (sources_.Look(path)) {
      case SourceFiles::Kind::kFolder:
        return report_.Add(use.position, use.named + " is " + Quoted(use.path) + ", a folder; name a file in it");
      case SourceFiles::Kind::kFile: {
        if (use.kind != FileUse::Kind::kReadCsvWithNames || !StartsWithNumbers(sources_.Start(path))) return;
        return report_.Add(use.position,
                           use.named + " is " + Quoted(use.path) +
                               ", whose first line has numbers where the columns' names are expected; set "
                               "`header: false` if it is an example, or `header: true` if these are names");
      }
      case SourceFiles::Kind::kNone: break;
    }
    report_.Add(use.position, use.named + " is " + Quoted(use.path) +
                                  ", which the sources do not have, and no step before it and no needed job makes it" +
                                  Cure(job, path, needed));
  }

  // Returns who makes the file, as what to do: "; add `prepare` to `needs`".
  std::string Cure(const JobSpec& job, const std::string& path, const std::vector<const JobSpec*>& needed) const {
    for (const JobSpec* other : needed) {
      if (!Writes(*other, path)) continue;
      return "; job " + Quoted(other->name) + " writes it: add it to the `artifacts` of that job";
    }
    std::vector<std::string_view> names;
    for (const JobSpec& other : jobs_) {
      if (&other == &job) continue;
      if (AnyArtifact(other, Covers, path) || Writes(other, path)) {
        return "; job " + Quoted(other.name) + " makes it: add it to `needs`" +
               (AnyArtifact(other, Covers, path) ? "" : ", and the file to the `artifacts` of that job");
      }
    }
    for (const JobSpec* other : needed) names.insert(names.end(), other->artifacts.begin(), other->artifacts.end());
    if (const auto nearest = NearestWord(path, names)) return "; did you mean " + Quoted(*nearest) + "?";
    return needed.empty() ? "" : "; what a needed job makes must be in its `artifacts`";
  }

  // Returns whether a native step of the job writes the file.
  bool Writes(const JobSpec& job, const std::string& path) const {
    const auto at = static_cast<std::size_t>(&job - jobs_.data());
    return std::any_of(uses_[at].begin(), uses_[at].end(), [&](const FileUse& use) {
      return use.kind == FileUse::Kind::kWritten && Inside(use.path) == path;
    });
  }

  const std::vector<JobSpec>& jobs_;
  const std::vector<std::vector<FileUse>>& uses_;
  const SourceFiles& sources_;
  Report& report_;
  Jobs by_name_;
};

}  // namespace

std::string PlainPath(std::string_view path) {
  const bool rooted = path.starts_with('/');
  std::vector<std::string_view> parts;
  for (std::size_t start = 0; start <= path.size();) {
    const std::size_t slash = std::min(path.find('/', start), path.size());
    const std::string_view part = path.substr(start, slash - start);
    start = slash + 1;
    if (part.empty() || part == ".") continue;
    const bool up = part == "..";
    if (up && !parts.empty() && parts.back() != "..") {
      parts.pop_back();
    } else if (!up || !rooted) {
      parts.push_back(part);
    }
  }
  std::string plain;
  for (const std::string_view part : parts) plain += (plain.empty() && !rooted ? "" : "/") + std::string(part);
  return plain.empty() && rooted ? "/" : plain;
}

void CheckFileUses(const std::vector<JobSpec>& jobs, const std::vector<std::vector<FileUse>>& uses,
                   const SourceFiles& sources, Report& report) {
  Checker checker(jobs, uses, sources, report);
  for (std::size_t i = 0; i < jobs.size(); ++i) checker.Check(i);
}

}  // namespace furrow::pipeline
