// Collects the mistakes of a furrow.yaml with their positions. Internal to common_pipeline.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/pipeline/pipeline.h"

namespace furrow::pipeline {

// Where something stands in the file, both from 1, columns in characters. Line 0: the file as a whole.
struct Position {
  int line = 0;
  int column = 0;
};

inline constexpr std::size_t kMaxDiagnostics = 1000;  // how many are shown

class Report {
 public:
  void Add(Position position, std::string message);
  bool empty() const { return found_.empty(); }
  // Nothing more will be shown: no need to word it well.
  bool full() const { return found_.size() >= 2 * kMaxDiagnostics; }

  // Everything added, in the file's order, without doubles; beyond kMaxDiagnostics one line says
  // how many more there are. Leaves the report empty.
  std::vector<Diagnostic> Take();

 private:
  std::vector<Diagnostic> found_;
  std::size_t dropped_ = 0;
};

// `word` in backquotes, made fit for a terminal: control characters as \xNN, long text cut.
std::string Quoted(std::string_view word);

// "a", "a or b", "a, b or c", each in backquotes.
std::string QuotedChoice(const std::vector<std::string_view>& words);

// Cuts `text` to at most `max_bytes` without splitting a UTF-8 character; a cut text ends in "…".
std::string Shortened(std::string_view text, std::size_t max_bytes);

}  // namespace furrow::pipeline
