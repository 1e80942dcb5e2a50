#include "common/pipeline/report.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "common/base/text.h"

namespace furrow {
namespace pipeline {

namespace {

constexpr std::size_t kMaxQuoted = 60;  // bytes of the file's own words in a message

}  // namespace

void Report::Add(Position position, std::string message) {
  if (full()) {
    ++dropped_;
    return;
  }
  found_.push_back(
      {static_cast<std::uint32_t>(position.line), static_cast<std::uint32_t>(position.column), std::move(message)});
}

std::vector<Diagnostic> Report::Take() {
  const auto before = [](const Diagnostic& a, const Diagnostic& b) {
    return std::tie(a.line, a.column) < std::tie(b.line, b.column);
  };
  std::stable_sort(found_.begin(), found_.end(), before);
  // Each alias of a YAML anchor repeats the mistakes behind the anchor: report them once.
  found_.erase(std::unique(found_.begin(), found_.end()), found_.end());
  std::size_t more = std::exchange(dropped_, 0);
  if (found_.size() > kMaxDiagnostics) {
    more += found_.size() - kMaxDiagnostics;
    found_.resize(kMaxDiagnostics);
  }
  if (more > 0) {
    const Diagnostic& last = found_.back();
    found_.push_back({last.line, last.column, std::to_string(more) + " more mistakes follow; mend these first"});
  }
  return std::exchange(found_, {});
}

std::string Shortened(std::string_view text, std::size_t max_bytes) {
  if (text.size() <= max_bytes) return std::string(text);
  return std::string(ClippedUtf8(text, max_bytes)) + "…";
}

std::string Quoted(std::string_view word) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string quoted = "`";
  for (const char c : Shortened(word, kMaxQuoted)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte != 0x7F) {
      quoted += c;
    } else if (c == '\n') {
      quoted += "\\n";
    } else {
      quoted += {'\\', 'x', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  return quoted + "`";
}

std::string QuotedChoice(const std::vector<std::string_view>& words) {
  std::string text;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i > 0) text += i + 1 == words.size() ? " or " : ", ";
    text += Quoted(words[i]);
  }
  return text;
}

}  // namespace pipeline

std::string FormatDiagnostics(std::string_view file, const std::vector<Diagnostic>& diagnostics) {
  std::string text;
  for (const Diagnostic& diagnostic : diagnostics) {
    text += file;
    if (diagnostic.line > 0) {
      text += ":" + std::to_string(diagnostic.line) + ":" + std::to_string(diagnostic.column);
    }
    text += ": " + diagnostic.message + "\n";
  }
  return text;
}

}  // namespace furrow
