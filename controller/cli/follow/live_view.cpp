#include "controller/cli/follow/live_view.h"
#include "common/wire/job_state.h"

#include <algorithm>

namespace furrow::cli {
namespace {

constexpr std::size_t kLogLines = 8;

std::string WithoutColours(std::string_view line) {
  std::string plain;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '\033') {
      while (i < line.size() && line[i] != 'm') ++i;
      continue;
    }
    plain += line[i] == '\t' ? ' ' : line[i];
  }
  return Plain(plain);
}

std::string Pad(const std::string& text, std::size_t width) {
  const std::size_t columns = Width(text);
  return columns < width ? text + std::string(width - columns, ' ') : text;
}

std::string LineOf(const JobSum& sum, std::size_t name_width, const ViewStyle& style) {
  std::string rest;
  const auto add = [&](const std::string& word) {
    if (!word.empty()) rest += "  " + word;
  };
  if (sum.shards > 1) add(std::to_string(sum.ended) + "/" + std::to_string(sum.shards));
  add(FormatSpan(sum.started, sum.ended_at, style.now));
  if (!IsTerminal(sum.state) && !sum.agents.empty()) add(sum.agents.front());
  if (const Metrics metrics = Ordered(sum.metrics); !metrics.empty())
    add(metrics.front().name + "=" + FormatNumber(metrics.front().value));
  add(sum.note);
  const std::string name = Pad(Plain(sum.branch + sum.job), name_width);
  const std::string text = std::string(GlyphOf(sum.state)) + " " + name + Plain(rest);
  const std::string cut = Cut(text, style.width);
  const std::size_t glyph = std::string_view(GlyphOf(sum.state)).size();
  return Paint(cut.substr(0, glyph), ColourOf(sum.state), style.colour) + cut.substr(std::min(glyph, cut.size()));
}

int Urgency(JobState state) {
  if (state == JobState::kFailed) return 0;
  if (state == JobState::kRunning || state == JobState::kAssigned) return 1;
  return IsTerminal(state) ? 3 : 2;
}

}  // namespace

std::vector<std::string> LiveLines(const RunSummary& run, const std::vector<JobView>& jobs, std::string_view log_of,
                                   const std::deque<std::string>& log, const ViewStyle& style, std::size_t rows) {
  std::vector<JobSum> sums = SumUp(jobs);
  std::vector<std::string> lines;
  const std::size_t log_rows = std::min({log.size(), kLogLines, rows / 3});
  for (std::size_t i = log.size() - log_rows; i < log.size(); ++i)
    lines.push_back(Paint(Cut(Plain(log_of) + ": " + WithoutColours(log[i]), style.width), Colour::kDim, style.colour));

  std::size_t room = rows > log_rows + 1 ? rows - log_rows - 1 : 1;
  std::size_t hidden = 0;
  if (sums.size() > room) {
    std::stable_sort(sums.begin(), sums.end(),
                     [](const JobSum& a, const JobSum& b) { return Urgency(a.state) < Urgency(b.state); });
    room = room > 1 ? room - 1 : 1;
    hidden = sums.size() - room;
    sums.resize(room);
    for (JobSum& sum : sums) sum.branch.clear();  // The tree makes no sense without the other jobs.
  }
  std::size_t name_width = 0;
  for (const JobSum& sum : sums) name_width = std::max(name_width, Width(sum.branch + sum.job));
  for (const JobSum& sum : sums) lines.push_back(LineOf(sum, name_width, style));
  if (hidden > 0) lines.push_back(Cut("… " + std::to_string(hidden) + " more jobs", style.width));

  std::string whole = NameOf(run) + " " + StateOf(run) + "  " + std::to_string(run.jobs.passed) + "/" +
                      std::to_string(run.jobs.total) + " passed";
  if (run.jobs.failed > 0) whole += ", " + std::to_string(run.jobs.failed) + " failed";
  if (run.jobs.running > 0) whole += ", " + std::to_string(run.jobs.running) + " running";
  whole += "  " + FormatSpan(run.submitted, run.ended, style.now);
  lines.push_back(Paint(Cut(Plain(whole), style.width), Colour::kBold, style.colour));
  return lines;
}

void LiveView::TakeLog(const JobView& job, std::string_view bytes) {
  if (log_job_ != Raw(job.id)) {
    log_job_ = Raw(job.id);
    log_of_ = NameOf(job);
    log_.clear();
    open_line_.clear();
    cleaner_ = LogCleaner();
  }
  const std::string clean = cleaner_.Clean(bytes);
  std::string_view rest = clean;
  while (!rest.empty()) {
    const std::size_t end = rest.find('\n');
    open_line_ += rest.substr(0, end);
    if (end == std::string_view::npos) break;
    rest.remove_prefix(end + 1);
    log_.push_back(std::exchange(open_line_, {}));
    if (log_.size() > kLogLines) log_.pop_front();
  }
  if (open_line_.size() > 4096) open_line_.erase(0, open_line_.size() - 4096);
}

// A terminal that became narrower has wrapped the drawn lines, so the lines are counted at the present width.
std::string LiveView::GoToTop(std::size_t columns) const {
  std::size_t rows = 0;
  for (const std::size_t width : drawn_) rows += width == 0 ? 1 : (width + columns - 1) / columns;
  return rows == 0 ? "" : "\033[" + std::to_string(rows) + "A\r";
}

void LiveView::Draw(const RunSummary& run, const std::vector<JobView>& jobs, WallTime now) {
  const TerminalSize size = SizeOfTerminal();
  const ViewStyle style{colour_, size.columns - 1, now};
  // The frame is drawn line over line and never clears the whole screen, because tmux would keep the erased lines in
  // its history each time.
  std::string frame = GoToTop(size.columns);
  drawn_.clear();
  for (const std::string& line : LiveLines(run, jobs, log_of_, log_, style, size.rows - 2)) {
    frame += line + "\033[K\n";
    drawn_.push_back(Width(WithoutColours(line)));
  }
  WriteErr(frame + "\033[J");
}

void LiveView::Clear() {
  if (!drawn_.empty()) WriteErr(GoToTop(SizeOfTerminal().columns) + "\033[J");
  drawn_.clear();
}

}  // namespace furrow::cli
