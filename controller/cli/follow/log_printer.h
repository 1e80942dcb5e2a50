// A LogPrinter writes logs of jobs for a person or a pipe.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "controller/cli/show/terminal.h"
#include "schemas/client.h"

namespace furrow::cli {

struct LogPrinterOptions {
  bool prefix = false;    // "job: " comes before each line, and lines of several jobs are never mixed.
  bool terminal = false;  // Control characters are made harmless, and no colour outlasts what is written at once.
  bool colour = false;    // The prefix is coloured.
};

class LogPrinter {
 public:
  LogPrinter(LogPrinterOptions options, std::function<void(std::string_view)> write)
      : options_(options), write_(std::move(write)) {}

  void Take(const JobView& job, std::string_view bytes);
  void End(const JobView& job);  // Ends a last line without a newline, if lines have prefixes.

 private:
  struct Log {
    LogCleaner cleaner;
    ColourSpan colours;
    std::string line;  // the line that has not ended
  };
  std::string Lines(const JobView& job, Log& log, std::string_view bytes) const;
  // Returns the text as it goes to the terminal: without colours at its end.
  std::string Shown(Log& log, std::string_view text) const;

  const LogPrinterOptions options_;
  const std::function<void(std::string_view)> write_;
  std::unordered_map<std::uint64_t, Log> logs_;  // by JobId
};

}  // namespace furrow::cli
