// Logging of the daemons: one logger per process, in one format.
//   log::Info("agent {} registered with {} GPUs", name, gpus.size());
// Lines go to stderr until SetUp says otherwise. Safe from every thread; never throws, never fails a
// caller: a line that cannot be written is lost. Text from outside may be logged as it is: control
// characters are escaped and further lines indented, so that nobody can forge a line.
#pragma once

#include <string>
#include <string_view>

#include <fmt/core.h>

#include "common/base/error.h"

namespace furrow::log {

enum class Level { kDebug, kInfo, kWarning, kError };

struct Settings {
  std::string program;  // "furrow-agent": stands in every line, except under journald, which knows
  Level level = Level::kInfo;
  std::string file;  // appended to, made with mode 0640 and its folders if missing; empty: stderr
};

// Directs the log. To be called once, in `main`, before there are threads. Where stderr leads to
// journald (JOURNAL_STREAM), lines carry a priority instead of time and program.
// Fails, and leaves the log as it was, if the file cannot be opened.
Status SetUp(const Settings& settings);

// Opens `file` (empty: stderr) anew and writes there from now on; any thread, at any time. The old file may have been
// renamed meanwhile, as logrotate does. Fails, and leaves the log as it was, if the file cannot be opened.
Status Redirect(const std::string& file);

// Lines below `level` are dropped from now on.
void SetLevel(Level level);
bool Enabled(Level level);

// "debug", "info", "warning", "error". kInvalid: another word; the message names these.
Result<Level> ParseLevel(std::string_view word);
const char* LevelName(Level level);

// What the functions below end in; `arguments` are read before it returns.
void Write(Level level, fmt::string_view format, fmt::format_args arguments);

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
template <class... Args>
void Error(fmt::format_string<Args...> format, Args&&... args) {
  if (Enabled(Level::kError)) Write(Level::kError, format, fmt::make_format_args(args...));
}

}  // namespace furrow::log
