// Defines what `doctor` finds out about a daemon on this machine, and how it prints the findings. The headers beside
// this one hold the checks: each is a function from facts to findings, so that a test can make up the facts.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/error.h"

namespace furrow::doctor {

enum class Grade : std::uint8_t {
  kOk,
  kWarning,  // works, but not as well as it should, or not for long
  kError,    // a requested feature does not work
};
const char* GradeName(Grade grade);  // "ok", "warning", "error"

struct Finding {
  Grade grade = Grade::kOk;
  std::string subject;  // one or two words, "state folder"
  std::string found;    // a sentence for a person
  std::string cure;     // a command if there is one; empty: nothing to do
  friend bool operator==(const Finding&, const Finding&) = default;
};
using Findings = std::vector<Finding>;

inline Finding Ok(std::string subject, std::string found) {
  return {Grade::kOk, std::move(subject), std::move(found), ""};
}
inline Finding Warning(std::string subject, std::string found, std::string cure) {
  return {Grade::kWarning, std::move(subject), std::move(found), std::move(cure)};
}
inline Finding Wrong(std::string subject, std::string found, std::string cure) {
  return {Grade::kError, std::move(subject), std::move(found), std::move(cure)};
}
void Append(Findings& to, Findings more);

// A Report holds the findings about one daemon.
struct Report {
  std::string title;  // "furrow-agent gpu-1"
  Findings findings;
};

// Returns the report as it holds for a daemon that `furrow up` runs, which the place of its configuration shows: no
// unit of systemd is concerned, and the cures are those of `furrow up`. The report of any other daemon stays as it is.
Report ForUp(Report report, const std::string& config_file);

std::size_t Count(const std::vector<Report>& reports, Grade grade);

// Returns the findings in columns, each cure under its finding, in lines of at most `width` columns (0: no limit).
std::string Render(const std::vector<Report>& reports, bool colour, std::size_t width);
// Returns {"reports": [{"title", "findings": [{"grade", "subject", "found", "cure"}]}], "errors", "warnings"}.
std::string ToJson(const std::vector<Report>& reports);
// Reads what ToJson wrote. kInvalid: the text is something else.
Result<std::vector<Report>> FromJson(std::string_view text);

// Prints the reports on stdout, as JSON or for people, with colour and width as the terminal allows. Returns 1 if there
// was an error, else 0.
int Print(const std::vector<Report>& reports, bool json);

}  // namespace furrow::doctor
