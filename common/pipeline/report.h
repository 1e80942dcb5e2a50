// Collects the mistakes of a furrow.yaml with their positions. This header is internal to common_pipeline.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/pipeline/pipeline.h"

namespace furrow::pipeline {

// A Position lies in the file; its line and column count from 1, the column in characters. Line 0 means the whole file.
struct Position {
  int line = 0;
  int column = 0;
};

inline constexpr std::size_t kMaxDiagnostics = 1000;  // the number of diagnostics that are shown

class Report {
 public:
  void Add(Position position, std::string message);
  bool empty() const { return found_.empty(); }
  // Returns whether nothing more will be shown, so that callers need not word their messages well.
  bool full() const { return found_.size() >= 2 * kMaxDiagnostics; }

  // Returns every mistake added, in the file's order and without doubles; beyond kMaxDiagnostics one line counts the
  // rest. Leaves the report empty.
  std::vector<Diagnostic> Take();

 private:
  std::vector<Diagnostic> found_;
  std::size_t dropped_ = 0;
};

// Returns `word` in backquotes, fit for a terminal: control characters become \xNN, and long text is cut.
std::string Quoted(std::string_view word);

// Returns "a", "a or b" or "a, b or c", each word in backquotes.
std::string QuotedChoice(const std::vector<std::string_view>& words);

// Cuts `text` to at most `max_bytes` without splitting a UTF-8 character; a cut text ends in "…".
std::string Shortened(std::string_view text, std::size_t max_bytes);

}  // namespace furrow::pipeline
