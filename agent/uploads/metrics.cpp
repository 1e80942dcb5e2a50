#include "agent/uploads/metrics.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string>
#include <utility>

#include <nlohmann/json.hpp>

namespace furrow {
namespace {

constexpr std::size_t kMaxLineBytes = 64 << 10;
constexpr std::size_t kMaxValues = 1000;  // on one line
constexpr std::size_t kMaxNameBytes = 256;

// How languages print what JSON has no numbers for.
constexpr std::array<std::pair<std::string_view, double>, 7> kNotFinite{{
    {"-Infinity", -HUGE_VAL},
    {"Infinity", HUGE_VAL},
    {"-inf", -HUGE_VAL},
    {"inf", HUGE_VAL},
    {"NaN", NAN},
    {"nan", NAN},
    {"-nan", NAN},
}};

// The line with such words in quotation marks, as JSON takes them.
std::string QuoteNotFinite(std::string_view line) {
  std::string quoted;
  bool in_string = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    const std::string_view rest = line.substr(i);
    const auto word = in_string ? kNotFinite.end() : std::find_if(kNotFinite.begin(), kNotFinite.end(), [&](auto& one) {
      return rest.starts_with(one.first);
    });
    if (word != kNotFinite.end()) {
      quoted.append("\"").append(word->first).append("\"");
      i += word->first.size() - 1;
      continue;
    }
    if (line[i] == '\\' && in_string && i + 1 < line.size()) quoted += line[i++];
    if (line[i] == '"') in_string = !in_string;
    quoted += line[i];
  }
  return quoted;
}

// A number, or one of the words above.
std::optional<double> NumberOf(const nlohmann::json& value) {
  if (value.is_number()) return value.get<double>();
  if (!value.is_string()) return std::nullopt;
  for (const auto& [word, number] : kNotFinite)
    if (value.get_ref<const std::string&>() == word) return number;
  return std::nullopt;
}

}  // namespace

std::optional<MetricLine> ParseMetricLine(std::string_view line) {
  auto json = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) json = nlohmann::json::parse(QuoteNotFinite(line), nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return std::nullopt;
  MetricLine metric;
  for (const auto& [name, value] : json.items()) {
    const std::optional<double> number = NumberOf(value);
    if (!number || name.empty() || name.size() > kMaxNameBytes) continue;
    if (name == "step") {
      if (*number >= 0 && *number < 9e15) metric.step = static_cast<std::int64_t>(*number);
    } else if (metric.values.size() < kMaxValues) {
      metric.values.push_back({name, *number});
    }
  }
  if (metric.values.empty()) return std::nullopt;
  return metric;
}

std::vector<MetricLine> MetricsReader::Read(bool last) {
  std::vector<MetricLine> metrics;
  first_ = next_;
  if (path_.empty()) return metrics;
  if (!file_) file_ = FileHandle(::open(path_.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!file_) return metrics;

  const auto take = [&](std::string_view line) {
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) return;
    auto metric = ParseMetricLine(line);
    if (!metric) {
      ++skipped_;
    } else if (pass_over_ > 0) {
      --pass_over_;
    } else {
      metrics.push_back(std::move(*metric));
      ++next_;
    }
  };

  std::array<char, 64 << 10> part;
  bool at_end = false;
  while (metrics.size() < kMaxLinesAtOnce) {
    std::size_t begin = 0;
    for (std::size_t end; metrics.size() < kMaxLinesAtOnce && (end = pending_.find('\n', begin)) != std::string::npos;
         begin = end + 1) {
      if (std::exchange(too_long_, false)) {
        ++skipped_;
      } else {
        take(std::string_view(pending_).substr(begin, end - begin));
      }
    }
    pending_.erase(0, begin);
    if (metrics.size() >= kMaxLinesAtOnce) break;
    if (pending_.size() > kMaxLineBytes) {
      too_long_ = true;
      pending_.clear();
    }
    if (at_end) break;
    const ssize_t got = ::pread(file_.Get(), part.data(), part.size(), static_cast<off_t>(offset_));
    if (got > 0) {
      offset_ += static_cast<std::uint64_t>(got);
      pending_.append(part.data(), static_cast<std::size_t>(got));
    } else {
      at_end = true;
    }
  }
  if (at_end && last && !pending_.empty()) {
    if (!too_long_) take(pending_);
    pending_.clear();
  }
  return metrics;
}

}  // namespace furrow
