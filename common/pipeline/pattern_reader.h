// Reads one pattern, and proposes another one for what it refuses. This header is internal to common_pipeline.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/error.h"
#include "common/pipeline/pattern.h"

namespace furrow::pipeline {

class PatternReader {
 public:
  static constexpr std::size_t kMostAlternatives = 100;

  explicit PatternReader(PatternUse use) : use_(use) {}

  // Returns the patterns that `text` stands for, as ReadPattern does. A failure's message says only what is wrong.
  Result<std::vector<std::string>> Read(std::string_view text);

  // What may be meant instead of the whole of a text that was refused: one pattern or several, which need not be right
  // themselves. Empty: that is not known.
  const std::vector<std::string>& instead() const { return instead_; }
  // What else may be meant, in words that follow "write "; empty: nothing.
  const std::string& also() const { return also_; }

 private:
  tl::unexpected<Error> Refuse(std::string why, std::vector<std::string> instead = {}, std::string also = "");

  Status CheckCharacters(std::string_view text);
  Status CheckBackslash(const std::string& text);
  Status CheckForeign(const std::string& text);
  Status CheckSets(const std::string& text);
  Status CheckChoices(const std::string& text);
  Status WriteOut(const std::string& text, std::vector<std::string>& out);
  Result<std::string> ReadBranch(const std::string& text);
  Result<std::string> ReadPath(const std::string& text);
  Result<std::vector<std::string>> ReadWithoutMark(const std::string& text);

  PatternUse use_;
  bool excludes_ = false;  // the pattern has a `!` in front
  std::vector<std::string> instead_;
  std::string also_;
};

}  // namespace furrow::pipeline
