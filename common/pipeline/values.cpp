#include "common/pipeline/values.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <utility>

#include "common/pipeline/report.h"

namespace furrow::pipeline {

namespace {

bool IsLetter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool IsDigit(char c) {
  return c >= '0' && c <= '9';
}

std::string_view Trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\n";
  const std::size_t first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

template <class Number>
std::optional<Number> FromChars(std::string_view text) {
  if (text.starts_with('+')) {
    text.remove_prefix(1);
    if (text.starts_with('-') || text.starts_with('+')) return std::nullopt;
  }
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// Splits "16GiB" into 16 and "GiB"; none if the text does not begin with a plain number that is not negative.
std::optional<std::pair<double, std::string_view>> SplitUnit(std::string_view text) {
  std::size_t end = 0;
  while (end < text.size() && (IsDigit(text[end]) || text[end] == '.')) ++end;
  const auto number = ParseNumber(text.substr(0, end));
  if (!number) return std::nullopt;
  return std::pair(*number, Trimmed(text.substr(end)));
}

}  // namespace

std::optional<std::int64_t> ParseInteger(std::string_view text) {
  return FromChars<std::int64_t>(text);
}

std::optional<double> ParseNumber(std::string_view text) {
  const auto value = FromChars<double>(text);
  return value && std::isfinite(*value) ? value : std::nullopt;
}

Result<std::chrono::milliseconds> ParseDuration(std::string_view text) {
  constexpr std::pair<std::string_view, double> kUnits[] = {
      {"ms", 1}, {"s", 1e3}, {"m", 60e3}, {"h", 3600e3}, {"d", 86400e3}};
  constexpr double kLongest = 365 * 86400e3;
  const auto parts = SplitUnit(text);
  if (parts) {
    for (const auto& [unit, factor] : kUnits) {
      if (parts->second != unit) continue;
      const double milliseconds = parts->first * factor;
      if (milliseconds < 1) return Fail(Errc::kInvalid, "must be above zero; leave it out for none");
      if (milliseconds > kLongest) return Fail(Errc::kInvalid, "may be at most 365d");
      return std::chrono::milliseconds(std::llround(milliseconds));
    }
  }
  return Fail(Errc::kInvalid, "must be a duration such as 90s, 5m, 6h or 3d, not " + Quoted(text));
}

Result<std::uint64_t> ParseSize(std::string_view text) {
  constexpr std::pair<std::string_view, double> kUnits[] = {
      {"KiB", 0x1p10}, {"MiB", 0x1p20}, {"GiB", 0x1p30}, {"TiB", 0x1p40}};
  const auto parts = SplitUnit(text);
  if (parts) {
    for (const auto& [unit, factor] : kUnits) {
      if (parts->second != unit) continue;
      const double bytes = parts->first * factor;
      if (bytes < 1) return Fail(Errc::kInvalid, "must be above zero; leave it out for no demand");
      if (bytes >= 0x1p60) return Fail(Errc::kInvalid, "must be below 1048576TiB");
      return static_cast<std::uint64_t>(bytes);
    }
  }
  return Fail(Errc::kInvalid, "must be a size such as 512KiB, 64MiB or 16GiB, not " + Quoted(text));
}

Result<std::uint32_t> ParseCpus(std::string_view text) {
  const auto number = ParseNumber(text);
  if (!number || *number < 0.001 || *number > 4096) {
    return Fail(Errc::kInvalid, "must be a number of CPUs from 0.001 to 4096, such as 4 or 0.5, not " + Quoted(text));
  }
  return static_cast<std::uint32_t>(std::lround(*number * 1000));
}

Result<Gpus> ParseGpus(std::string_view text) {
  Gpus gpus;
  std::string_view count = text;
  if (const std::size_t colon = text.rfind(':'); colon != std::string_view::npos) {
    gpus.model = Trimmed(text.substr(0, colon));
    count = text.substr(colon + 1);
    if (gpus.model.empty()) return Fail(Errc::kInvalid, "lacks the model before the colon, such as `a100:2`");
  }
  const auto number = ParseNumber(count);
  if (!number || *number < 0 || *number > 1024) {
    return Fail(Errc::kInvalid,
                "must be a number of GPUs from 0 to 1024, such as 1, 0.5 or `a100:2`, not " + Quoted(text));
  }
  gpus.milli = static_cast<std::uint32_t>(std::lround(*number * 1000));
  if (*number > 0 && gpus.milli == 0) return Fail(Errc::kInvalid, "may be 0.001 at least, not " + Quoted(text));
  if (gpus.milli > 1000 && gpus.milli % 1000 != 0) {
    return Fail(Errc::kInvalid, "must be whole GPUs, or a share below 1, not " + Quoted(text));
  }
  if (gpus.milli == 0 && !gpus.model.empty()) return Fail(Errc::kInvalid, "names a model but asks for none of it");
  return gpus;
}

Result<MetricRule> ParseRule(std::string metric, std::string_view text) {
  constexpr std::pair<std::string_view, Comparison> kComparisons[] = {{"<=", Comparison::kLessEqual},
                                                                      {">=", Comparison::kGreaterEqual},
                                                                      {"==", Comparison::kEqual},
                                                                      {"<", Comparison::kLess},
                                                                      {">", Comparison::kGreater}};
  const std::string_view rule = Trimmed(text);
  for (const auto& [written, comparison] : kComparisons) {
    if (!rule.starts_with(written)) continue;
    const std::string_view bound = Trimmed(rule.substr(written.size()));
    if (bound.find("production") != std::string_view::npos) {
      return Fail(Errc::kUnavailable,
                  "compares with `production`, which is known but not yet built; compare with a number");
    }
    const auto number = ParseNumber(bound);
    if (!number) break;
    return MetricRule{std::move(metric), comparison, *number};
  }
  return Fail(
      Errc::kInvalid,
      "must be a comparison with a number, such as \">= 0.80\" (one of <, <=, >, >=, ==), not " + Quoted(text) +
          (HasVariable(text) ? "; variables are read by `run` and `exec` steps only: write the number itself" : ""));
}

bool HasVariable(std::string_view text) {
  for (std::size_t at = text.find('$'); at != std::string_view::npos; at = text.find('$', at + 1)) {
    std::string_view name = text.substr(at + 1);
    if (name.starts_with('{')) name.remove_prefix(1);
    if (!name.empty() && (IsLetter(name.front()) || name.front() == '_')) return true;
  }
  return false;
}

bool IsName(std::string_view text, bool dots) {
  if (text.empty() || text.size() > 64) return false;
  const auto word = [](char c) { return IsLetter(c) || IsDigit(c) || c == '_'; };
  return word(text.front()) &&
         std::all_of(text.begin(), text.end(), [&](char c) { return word(c) || c == '-' || (dots && c == '.'); });
}

bool IsEnvName(std::string_view text) {
  const auto word = [](char c) { return IsLetter(c) || IsDigit(c) || c == '_'; };
  return !text.empty() && text.size() <= 256 && !IsDigit(text.front()) && std::all_of(text.begin(), text.end(), word);
}

bool IsReservedEnv(std::string_view name) {
  constexpr std::array<std::string_view, 7> kReserved = {
      "CI",
      "FURROW",
      "CUDA_VISIBLE_DEVICES",
      "CUDA_DEVICE_ORDER",
      "NVIDIA_VISIBLE_DEVICES",
      "HIP_VISIBLE_DEVICES",
      "ROCR_VISIBLE_DEVICES",
  };
  return name.starts_with("FURROW_") || std::find(kReserved.begin(), kReserved.end(), name) != kReserved.end();
}

std::string CureOfReserved(std::string_view name) {
  return name.ends_with("_VISIBLE_DEVICES") ? "ask for GPUs with `resources: { gpus: 1 }`" : "choose another name";
}

std::string_view ComparisonText(Comparison comparison) {
  switch (comparison) {
    case Comparison::kLess: return "<";
    case Comparison::kLessEqual: return "<=";
    case Comparison::kGreater: return ">";
    case Comparison::kGreaterEqual: return ">=";
    case Comparison::kEqual: return "==";
  }
  return "?";
}

}  // namespace furrow::pipeline
