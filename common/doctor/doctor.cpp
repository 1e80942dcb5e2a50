#include "common/doctor/doctor.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "common/base/text.h"

namespace furrow::doctor {
namespace {

constexpr std::size_t kGradeWidth = 7;  // the width of "warning"
constexpr std::string_view kArrow = "→ ";

std::string Padded(std::string_view text, std::size_t width) {
  return std::string(text) + std::string(width - std::min(width, CountCharacters(text)), ' ');
}

// Breaks `text` between words into lines of at most `width` columns; the first line is not indented, the others begin
// with `indent` spaces. A word that is too long stays whole, because it may be a path to copy.
std::string Wrapped(const std::string& text, std::size_t indent, std::size_t width) {
  std::string out;
  std::size_t used = indent;
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t end = std::min(text.find(' ', at), text.size());
    const std::string word = text.substr(at, end - at);
    at = end + 1;
    if (word.empty()) continue;
    const bool first = used == indent;
    if (!first && width > 0 && used + 1 + CountCharacters(word) > width) {
      out += "\n" + std::string(indent, ' ');
      used = indent;
    } else if (!first) {
      out += ' ';
      ++used;
    }
    out += word;
    used += CountCharacters(word);
  }
  return out;
}

std::string Paint(const std::string& text, const char* code, bool colour) {
  return colour ? std::string("\x1b[") + code + "m" + text + "\x1b[0m" : text;
}

const char* CodeOf(Grade grade) {
  switch (grade) {
    case Grade::kOk: return "32";
    case Grade::kWarning: return "33";
    case Grade::kError: return "1;31";
  }
  return "0";
}

std::string Counted(std::size_t count, const std::string& what) {
  return (count == 0 ? "no" : std::to_string(count)) + " " + what + (count == 1 ? "" : "s");
}

std::size_t TerminalWidth() {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < 60) return 100;
  return std::min<std::size_t>(size.ws_col, 120);
}

}  // namespace

const char* GradeName(Grade grade) {
  switch (grade) {
    case Grade::kOk: return "ok";
    case Grade::kWarning: return "warning";
    case Grade::kError: return "error";
  }
  return "error";
}

void Append(Findings& to, Findings more) {
  for (Finding& finding : more) to.push_back(std::move(finding));
}

Report ForUp(Report report, const std::string& config_file) {
  namespace fs = std::filesystem;
  std::error_code none;
  fs::path folder = fs::path(config_file).parent_path();  // of `furrow up`: an agent's files lie two folders deeper
  while (folder.has_relative_path() && !fs::exists(folder / "up.lock", none)) folder = folder.parent_path();
  if (!folder.has_relative_path()) return report;
  std::erase_if(report.findings, [](const Finding& one) { return one.subject == "unit"; });
  const std::string again = "furrow --state " + folder.string() + " up";
  const std::string edits = "set listen in " + config_file;
  for (Finding& one : report.findings) {
    // Each start writes the configuration anew, so that nobody is told to change it.
    if (const std::size_t at = one.found.find(edits); at != std::string::npos)
      one.found.replace(at, edits.size(), "install furrow-controller, for `furrow up` serves this machine alone");
    if (one.cure.find(config_file) != std::string::npos) one.cure = again + " --port 0 takes free ports";
    const bool reads = one.cure.find("journalctl") != std::string::npos;
    const std::size_t systemd = one.cure.find("systemctl");
    if (reads)
      one.cure = "the logs in " + (folder / "daemons").string() + " say why; then start it again: " + again;
    else if (systemd != std::string::npos && one.subject == "limits")
      one.cure = "raise the limit (ulimit) in the shell of `furrow up`, and start it again: " + again;
    else if (systemd != std::string::npos)
      one.cure = one.cure.substr(0, systemd) + "start it again: " + again;
  }
  return report;
}

std::size_t Count(const std::vector<Report>& reports, Grade grade) {
  std::size_t count = 0;
  for (const Report& report : reports)
    count += static_cast<std::size_t>(std::count_if(report.findings.begin(), report.findings.end(),
                                                    [&](const Finding& one) { return one.grade == grade; }));
  return count;
}

std::string Render(const std::vector<Report>& reports, bool colour, std::size_t width) {
  std::size_t subject = 0;
  for (const Report& report : reports)
    for (const Finding& finding : report.findings) subject = std::max(subject, CountCharacters(finding.subject));
  const std::size_t indent = 2 + kGradeWidth + 2 + subject + 2;
  std::string out;
  for (const Report& report : reports) {
    out += Paint(Plain(report.title), "1", colour) + "\n";
    for (const Finding& finding : report.findings) {
      out += "  " + Paint(Padded(GradeName(finding.grade), kGradeWidth), CodeOf(finding.grade), colour);
      out += "  " + Padded(finding.subject, subject) + "  " + Wrapped(Plain(finding.found), indent, width) + "\n";
      if (finding.cure.empty()) continue;
      out += std::string(indent, ' ') + Paint(std::string(kArrow), CodeOf(finding.grade), colour) +
             Wrapped(Plain(finding.cure), indent + CountCharacters(kArrow), width) + "\n";
    }
    out += "\n";
  }
  const std::size_t errors = Count(reports, Grade::kError), warnings = Count(reports, Grade::kWarning);
  if (errors == 0 && warnings == 0) return out + "All is well.\n";
  return out + Counted(errors, "error") + ", " + Counted(warnings, "warning") + ".\n";
}

std::string ToJson(const std::vector<Report>& reports) {
  nlohmann::json document{{"reports", nlohmann::json::array()},
                          {"errors", Count(reports, Grade::kError)},
                          {"warnings", Count(reports, Grade::kWarning)}};
  for (const Report& report : reports) {
    nlohmann::json findings = nlohmann::json::array();
    for (const Finding& one : report.findings)
      findings.push_back(
          {{"grade", GradeName(one.grade)}, {"subject", one.subject}, {"found", one.found}, {"cure", one.cure}});
    document["reports"].push_back({{"title", report.title}, {"findings", findings}});
  }
  return EscapeUnseen(document.dump(2, ' ', false, nlohmann::json::error_handler_t::replace)) + "\n";
}

Result<std::vector<Report>> FromJson(std::string_view text) {
  try {
    std::vector<Report> reports;
    const nlohmann::json document = nlohmann::json::parse(text);
    for (const auto& report : document.at("reports")) {
      Report& added = reports.emplace_back(Report{report.at("title"), {}});
      for (const auto& one : report.at("findings")) {
        const std::string grade = one.at("grade");
        added.findings.push_back({grade == "ok"        ? Grade::kOk
                                  : grade == "warning" ? Grade::kWarning
                                                       : Grade::kError,
                                  one.at("subject"), one.at("found"), one.at("cure")});
      }
    }
    return reports;
  } catch (const nlohmann::json::exception& e) {
    return Fail(Errc::kInvalid, std::string("not what doctor --json prints: ") + e.what());
  }
}

int Print(const std::vector<Report>& reports, bool json) {
  const bool terminal = ::isatty(STDOUT_FILENO) == 1;
  const bool colour = terminal && std::getenv("NO_COLOR") == nullptr;
  const std::string text = json ? ToJson(reports) : Render(reports, colour, terminal ? TerminalWidth() : 0);
  std::fputs(text.c_str(), stdout);
  return Count(reports, Grade::kError) > 0 ? 1 : 0;
}

}  // namespace furrow::doctor
