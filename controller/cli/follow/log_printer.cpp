#include "controller/cli/follow/log_printer.h"

#include "controller/cli/show/views.h"

namespace furrow::cli {
namespace {

constexpr std::size_t kLongestHeldLine = 64 << 10;  // A longer line is written in pieces.

}  // namespace

void LogPrinter::Take(const JobView& job, std::string_view bytes) {
  Log& log = logs_[Raw(job.id)];
  std::string clean;
  if (options_.terminal) {
    clean = log.cleaner.Clean(bytes);
    bytes = clean;
  }
  if (options_.prefix)
    write_(Lines(job, log, bytes));
  else
    write_(options_.terminal ? Shown(log, bytes) : bytes);
}

std::string LogPrinter::Shown(Log& log, std::string_view text) const {
  return options_.terminal ? log.colours.Wrap(text) : std::string(text);
}

std::string LogPrinter::Lines(const JobView& job, Log& log, std::string_view bytes) const {
  const std::string prefix = Paint(Plain(NameOf(job)) + ": ", Colour::kDim, options_.colour);
  std::string out;
  while (!bytes.empty()) {
    const std::size_t end = bytes.find('\n');
    log.line += bytes.substr(0, end);
    if (end == std::string_view::npos) {
      if (log.line.size() < kLongestHeldLine) return out;
      bytes = {};
    } else {
      bytes.remove_prefix(end + 1);
    }
    out += prefix + Shown(log, log.line) + "\n";
    log.line.clear();
  }
  return out;
}

void LogPrinter::End(const JobView& job) {
  const auto found = logs_.find(Raw(job.id));
  if (found == logs_.end()) return;
  if (options_.prefix && !found->second.line.empty()) write_(Lines(job, found->second, "\n"));
  logs_.erase(found);
}

}  // namespace furrow::cli
