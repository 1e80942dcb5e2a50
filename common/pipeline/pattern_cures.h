// Says what a pattern in another notation may mean, for PatternReader to propose: regular expressions, bars, sequences of
// shells, paths with dots. What comes back need not be a good pattern itself. This header is internal to common_pipeline.
#pragma once

#include <cctype>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/glob.h"

namespace furrow::pipeline {

using Strings = std::vector<std::string>;

inline bool IsBlank(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}
inline bool IsAlnum(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0;
}
inline bool IsAlpha(char c) {
  return std::isalpha(static_cast<unsigned char>(c)) != 0;
}

// Calls `see` with the index of each byte that lies in no set such as `[a-z]`.
template <class See>
void EachOutsideSets(const std::string& text, See see) {
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (const std::size_t set = SetLength(std::string_view(text).substr(at)); set > 0)
      at += set - 1;
    else
      see(at);
  }
}

std::string Trimmed(std::string_view text);  // without blanks at its ends
// Parts `text` at each `mark` that lies in no set and in no parentheses or braces, without blanks around the pieces.
Strings Split(const std::string& text, char mark);
// Returns what `a|b` and `x(a|b)y` of regular expressions stand for; empty: there is no such bar.
Strings BarAlternatives(const std::string& text);
// Returns the pattern that a simple regular expression means; empty: it is not simple.
Strings FromRegex(std::string text);
// Returns what the `1..3` or `a..c` of a shell stands for; empty: it is none, or a long one.
Strings Sequence(std::string_view text);
// Returns a path without `.`, and without `..` and the folder before each; empty: it leaves the root.
std::string WithoutDots(const std::string& path);
std::string WithoutSlashes(const std::string& text);  // at its start
// Returns one pattern that stands for all of `patterns`.
std::string Joined(const Strings& patterns);

}  // namespace furrow::pipeline
