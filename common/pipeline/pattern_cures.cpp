#include "common/pipeline/pattern_cures.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <system_error>

#include "common/pipeline/pattern_reader.h"

namespace furrow::pipeline {

std::string Trimmed(std::string_view text) {
  while (!text.empty() && IsBlank(text.front())) text.remove_prefix(1);
  while (!text.empty() && IsBlank(text.back())) text.remove_suffix(1);
  return std::string(text);
}

Strings Split(const std::string& text, char mark) {
  Strings pieces;
  std::size_t start = 0, depth = 0;
  EachOutsideSets(text, [&](std::size_t at) {
    if (text[at] == '(' || text[at] == '{') ++depth;
    if ((text[at] == ')' || text[at] == '}') && depth > 0) --depth;
    if (text[at] != mark || depth > 0) return;
    pieces.push_back(Trimmed(text.substr(start, at - start)));
    start = at + 1;
  });
  pieces.push_back(Trimmed(text.substr(start)));
  std::erase(pieces, "");
  return pieces;
}

Strings BarAlternatives(const std::string& text) {
  Strings pieces = Split(text, '|');
  for (std::string& piece : pieces)
    if (piece.size() > 1 && piece.front() == '(' && piece.find(')') == piece.size() - 1 && pieces.size() > 1)
      piece = piece.substr(1, piece.size() - 2);
  if (pieces.size() > 1) return pieces;
  const std::size_t close = text.find(')');
  const std::size_t open = close == std::string::npos ? close : text.rfind('(', close);
  if (open == std::string::npos) return {};
  pieces = Split(text.substr(open + 1, close - open - 1), '|');
  for (std::string& piece : pieces) piece = text.substr(0, open) + piece + text.substr(close + 1);
  return pieces;
}

Strings FromRegex(std::string text) {
  if (text.starts_with('^')) text.erase(0, 1);
  if (text.ends_with('$')) text.pop_back();
  std::string pattern;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char c = text[at], next = at + 1 < text.size() ? text[at + 1] : '\0';
    if (c == '.' && (next == '*' || next == '+')) {
      pattern += next == '*' ? "**" : "?**";
      ++at;
    } else if (c == '\\' && next != '\0' && !IsAlnum(next)) {
      pattern += LiteralPattern({&next, 1});
      ++at;
    } else if (std::string_view("\\*+?{}[]^$").find(c) != std::string_view::npos) {
      return {};
    } else {
      pattern += c;
    }
  }
  return {pattern};
}

Strings Sequence(std::string_view text) {
  const std::size_t dots = text.find("..");
  if (dots == std::string_view::npos) return {};
  const auto number = [](std::string_view digits) -> std::optional<int> {
    int value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
    return value;
  };
  const std::string_view first = text.substr(0, dots), last = text.substr(dots + 2);
  const bool letters = first.size() == 1 && last.size() == 1 && IsAlpha(first[0]) && IsAlpha(last[0]);
  const auto low = letters ? std::optional<int>(first[0]) : number(first);
  const auto high = letters ? std::optional<int>(last[0]) : number(last);
  if (!low || !high || *low > *high || *high - *low >= static_cast<int>(PatternReader::kMostAlternatives)) return {};
  Strings all;
  for (int value = *low; value <= *high; ++value)
    all.push_back(letters ? std::string(1, static_cast<char>(value)) : std::to_string(value));
  return all;
}

std::string WithoutDots(const std::string& path) {
  Strings parts;
  for (const std::string& part : Split(path, '/')) {
    if (part == "..") {
      if (parts.empty() || parts.back().find("**") != std::string::npos) return "";
      parts.pop_back();
    } else if (!part.empty() && part != ".") {
      parts.push_back(part);
    }
  }
  std::string plain;
  for (const std::string& part : parts) plain += (plain.empty() ? "" : "/") + part;
  return plain;
}

std::string WithoutSlashes(const std::string& text) {
  return text.substr(std::min(text.find_first_not_of('/'), text.size()));
}

std::string Joined(const std::vector<std::string>& patterns) {
  if (patterns.size() == 1) return patterns.front();
  const bool exclude =
      std::all_of(patterns.begin(), patterns.end(), [](const auto& one) { return one.starts_with('!'); });
  std::string joined;
  for (const std::string& one : patterns) joined += (joined.empty() ? "" : ",") + one.substr(exclude ? 1 : 0);
  return (exclude ? "!{" : "{") + joined + "}";
}

}  // namespace furrow::pipeline
