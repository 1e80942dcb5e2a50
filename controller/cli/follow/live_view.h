// A LiveView shows a run as it is now, redrawn in place on a terminal.
#pragma once

#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "controller/cli/show/terminal.h"
#include "controller/cli/show/views.h"
#include "schemas/client.h"

namespace furrow::cli {

// Returns the lines that LiveView draws, at most `rows`, none wider than `style.width`: the last lines of the log, the
// jobs as a tree (where there are too many, those that run or failed first), and a line for the whole run.
std::vector<std::string> LiveLines(const RunSummary& run, const std::vector<JobView>& jobs, std::string_view log_of,
                                   const std::deque<std::string>& log, const ViewStyle& style, std::size_t rows);

class LiveView {
 public:
  explicit LiveView(bool colour) : colour_(colour) {}

  void TakeLog(const JobView& job, std::string_view bytes);
  void Draw(const RunSummary& run, const std::vector<JobView>& jobs, WallTime now);
  // Erases the drawn lines; the cursor returns to their beginning.
  void Clear();

 private:
  std::string GoToTop(std::size_t columns) const;  // Moves the cursor to the last frame.

  const bool colour_;
  std::string log_of_;
  std::uint64_t log_job_ = 0;
  std::deque<std::string> log_;  // the last whole lines
  std::string open_line_;
  LogCleaner cleaner_;
  std::vector<std::size_t> drawn_;  // the widths of the lines on the screen
};

}  // namespace furrow::cli
