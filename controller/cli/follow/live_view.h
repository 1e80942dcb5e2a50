// A run as it is now, redrawn in place on a terminal.
#pragma once

#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "controller/cli/show/terminal.h"
#include "controller/cli/show/views.h"
#include "schemas/client.h"

namespace furrow::cli {

// The lines that LiveView draws, none wider than `style.width`, at most `rows`: of the log the last ones, the jobs as a
// tree (where there are too many, those that run or failed first), and a line for the whole.
std::vector<std::string> LiveLines(const RunSummary& run, const std::vector<JobView>& jobs, std::string_view log_of,
                                   const std::deque<std::string>& log, const ViewStyle& style, std::size_t rows);

class LiveView {
 public:
  explicit LiveView(bool colour) : colour_(colour) {}

  void TakeLog(const JobView& job, std::string_view bytes);
  void Draw(const RunSummary& run, const std::vector<JobView>& jobs, WallTime now);
  // Takes what was drawn away; the cursor stands where it began.
  void Clear();

 private:
  std::string GoToTop(std::size_t columns) const;  // to where the last frame begins

  const bool colour_;
  std::string log_of_;
  std::uint64_t log_job_ = 0;
  std::deque<std::string> log_;  // whole lines, the last ones
  std::string open_line_;
  LogCleaner cleaner_;
  std::vector<std::size_t> drawn_;  // widths of the lines on the screen
};

}  // namespace furrow::cli
