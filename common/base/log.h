// Logs for the daemons: each process has one logger, and all loggers write one format.
//   log::Info("agent {} registered with {} GPUs", name, gpus.size());
// Lines go to stderr until SetUp directs them elsewhere. Any thread may log. A call never throws and never fails its
// caller: a line that cannot be written is lost. Text from outside may be logged unchanged: what a terminal does not
// show is escaped and further lines indented, so that no text can forge a line.
//
// Warnings and errors are limited, see line_limit.h: within ten minutes the same line is written five times, and a line
// of WarningOf once for each subject. The others are counted, and their number is told when the time is over.
#pragma once

#include <string>
#include <string_view>

#include <fmt/core.h>

#include "common/base/error.h"

namespace furrow::log {

enum class Level { kDebug, kInfo, kWarning, kError };

struct Settings {
  std::string program;  // e.g. "furrow-agent"; every line carries it, except under journald, which knows the program
  Level level = Level::kInfo;
  std::string file;  // lines are appended; made with mode 0600, its folders too, if missing; empty: stderr
};

// Directs the log as `settings` say. `main` calls SetUp once, before there are threads. Where stderr leads to journald
// (JOURNAL_STREAM), lines carry a priority instead of time and program. Fails, and leaves the log unchanged, if the
// file cannot be opened.
Status SetUp(const Settings& settings);

// Reopens `file` (empty: stderr) and writes there from now on; any thread may call this function, at any time. The old
// file may have been renamed meanwhile, as logrotate does. Fails, and leaves the log unchanged, if the file cannot be
// opened.
Status Redirect(const std::string& file);

// Drops lines below `level` from now on.
void SetLevel(Level level);
bool Enabled(Level level);

// Parses "debug", "info", "warning" or "error". kInvalid: another word; the message names these four.
Result<Level> ParseLevel(std::string_view word);
const char* LevelName(Level level);

// Writes what is known of lines that were kept back: those whose time is over, or all. A line that is written later
// does the first by itself; the loops of the daemons do it while nothing else is logged, and `main` does the second.
void TellKeptBack(bool all = false);

// Writes one line for the functions below; `arguments` are read before the call returns.
void Write(Level level, fmt::string_view format, fmt::format_args arguments);
void WriteOf(std::string_view subject, fmt::string_view format, fmt::format_args arguments);

template <class... Args>
void Debug(fmt::format_string<Args...> format, Args&&... args) {
  if (Enabled(Level::kDebug)) Write(Level::kDebug, format, fmt::make_format_args(args...));
}
template <class... Args>
void Info(fmt::format_string<Args...> format, Args&&... args) {
  if (Enabled(Level::kInfo)) Write(Level::kInfo, format, fmt::make_format_args(args...));
}
template <class... Args>
void Warning(fmt::format_string<Args...> format, Args&&... args) {
  if (Enabled(Level::kWarning)) Write(Level::kWarning, format, fmt::make_format_args(args...));
}
// Warns of what `subject` does, such as a peer that sends what it may not.
template <class... Args>
void WarningOf(std::string_view subject, fmt::format_string<Args...> format, Args&&... args) {
  if (Enabled(Level::kWarning)) WriteOf(subject, format, fmt::make_format_args(args...));
}
template <class... Args>
void Error(fmt::format_string<Args...> format, Args&&... args) {
  if (Enabled(Level::kError)) Write(Level::kError, format, fmt::make_format_args(args...));
}

}  // namespace furrow::log
