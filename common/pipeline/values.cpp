#include "common/pipeline/values.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <utility>

#include "common/base/text.h"
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

// Fails where zeros stand before the number: readers of YAML 1.1 take 010 for 8, those of YAML 1.2 for 10.
Status CheckZeros(std::string_view text, std::string_view before = "") {
  const auto better = WithoutZeros(text);
  if (!better) return {};
  return Fail(Errc::kInvalid, "has a zero before its number, " + Quoted(text) +
                                  ", which does not mean the same to all who read it; write " +
                                  Quoted(std::string(before) + *better));
}

// Adds ", write `90m`" to what is said of a text if it is written in another usual way: with several units ("1h30m"),
// or with another name of a unit ("8GB", "90 min").
template <std::size_t kUnits, std::size_t kNames>
std::string UnitCure(std::string_view text, const std::pair<std::string_view, double> (&units)[kUnits],
                     const std::pair<std::string_view, std::string_view> (&names)[kNames]) {
  double total = 0, smallest = 0;
  for (std::string_view rest = Trimmed(text); !rest.empty();) {
    const std::size_t digits = std::min(rest.find_first_not_of("0123456789."), rest.size());
    const auto number = ParseNumber(rest.substr(0, digits));
    rest = Trimmed(rest.substr(digits));
    const std::size_t letters =
        static_cast<std::size_t>(std::find_if_not(rest.begin(), rest.end(), IsLetter) - rest.begin());
    std::string name(rest.substr(0, letters));
    rest = Trimmed(rest.substr(letters));
    for (char& c : name) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
    if (name.size() > 2 && name.ends_with('s')) name.pop_back();
    const auto meant = std::find_if(std::begin(names), std::end(names), [&](const auto& n) { return n.first == name; });
    if (!number || meant == std::end(names)) return "";
    const auto unit =
        std::find_if(std::begin(units), std::end(units), [&](const auto& u) { return u.first == meant->second; });
    smallest = unit->second;
    total += *number * smallest;
  }
  for (std::size_t i = kUnits; i-- > 0;) {
    const double count = total / units[i].second;
    if (count < 1 || count != std::floor(count) || count > 1e9 || units[i].second > smallest) continue;
    return "; write `" + std::to_string(static_cast<std::int64_t>(count)) + std::string(units[i].first) + "`";
  }
  return "";
}

// Returns the first "$NAME" or "${NAME}" of a text whose name is one that a job's environment has anyway: whoever
// writes it means the value. Empty: there is none. Any other `$` may be part of a password or a template.
std::string VariableIn(std::string_view text) {
  constexpr std::string_view kUsual[] = {"PATH",
                                         "HOME",
                                         "USER",
                                         "PWD",
                                         "TMPDIR",
                                         "LANG",
                                         "LC_ALL",
                                         "PYTHONPATH",
                                         "LD_LIBRARY_PATH",
                                         "CUDA_VISIBLE_DEVICES"};
  for (std::size_t at = text.find('$'); at != text.npos; at = text.find('$', at + 1)) {
    if (at > 0 && text[at - 1] == '\\') continue;
    const bool braced = text.substr(at + 1).starts_with('{');
    const std::size_t begin = at + (braced ? 2 : 1);
    std::size_t end = begin;
    while (end < text.size() &&
           ((text[end] >= 'A' && text[end] <= 'Z') || text[end] == '_' || (text[end] >= '0' && text[end] <= '9')))
      ++end;
    const std::string_view name = text.substr(begin, end - begin);
    const bool whole = braced ? end < text.size() && (text[end] == '}' || text[end] == ':')
                              : end == text.size() || text[end] < 'a' || text[end] > 'z';
    if (whole &&
        (name.starts_with("FURROW_") || std::find(std::begin(kUsual), std::end(kUsual), name) != std::end(kUsual)))
      return "$" + std::string(name);
  }
  return "";
}

}  // namespace

std::optional<std::string> WithoutZeros(std::string_view text) {
  const std::size_t first = text.starts_with('+') || text.starts_with('-') ? 1 : 0;
  std::size_t zeros = 0;
  while (first + zeros + 1 < text.size() && text[first + zeros] == '0' && IsDigit(text[first + zeros + 1])) ++zeros;
  if (zeros == 0) return std::nullopt;
  return std::string(text.substr(0, first)) + std::string(text.substr(first + zeros));
}

std::optional<std::int64_t> ParseInteger(std::string_view text) {
  return FromChars<std::int64_t>(text);
}

std::optional<double> ParseNumber(std::string_view text) {
  const auto value = FromChars<double>(text);
  return value && std::isfinite(*value) ? value : std::nullopt;
}

Result<std::chrono::milliseconds> ParseDuration(std::string_view text) {
  FURROW_TRY(CheckZeros(text));
  constexpr std::pair<std::string_view, double> kUnits[] = {
      {"ms", 1}, {"s", 1e3}, {"m", 60e3}, {"h", 3600e3}, {"d", 86400e3}};
  constexpr std::pair<std::string_view, std::string_view> kNames[] = {
      {"ms", "ms"}, {"msec", "ms"}, {"millisecond", "ms"}, {"s", "s"}, {"sec", "s"}, {"second", "s"},
      {"m", "m"},   {"min", "m"},   {"minute", "m"},       {"h", "h"}, {"hr", "h"},  {"hour", "h"},
      {"d", "d"},   {"day", "d"}};
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
  return Fail(Errc::kInvalid,
              "must be a duration such as 90s, 5m, 6h or 3d, not " + Quoted(text) + UnitCure(text, kUnits, kNames));
}

Result<std::uint64_t> ParseSize(std::string_view text) {
  FURROW_TRY(CheckZeros(text));
  constexpr std::pair<std::string_view, double> kUnits[] = {
      {"KiB", 0x1p10}, {"MiB", 0x1p20}, {"GiB", 0x1p30}, {"TiB", 0x1p40}};
  constexpr std::pair<std::string_view, std::string_view> kNames[] = {
      {"k", "KiB"},  {"kb", "KiB"},  {"ki", "KiB"}, {"kib", "KiB"}, {"m", "MiB"},  {"mb", "MiB"},
      {"mi", "MiB"}, {"mib", "MiB"}, {"g", "GiB"},  {"gb", "GiB"},  {"gi", "GiB"}, {"gib", "GiB"},
      {"t", "TiB"},  {"tb", "TiB"},  {"ti", "TiB"}, {"tib", "TiB"}};
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
  return Fail(Errc::kInvalid,
              "must be a size such as 512KiB, 64MiB or 16GiB, not " + Quoted(text) + UnitCure(text, kUnits, kNames));
}

Result<std::uint32_t> ParseCpus(std::string_view text) {
  FURROW_TRY(CheckZeros(text));
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
  FURROW_TRY(CheckZeros(count, text.substr(0, text.size() - count.size())));
  if (const std::string_view hidden = FirstHidden(gpus.model); !hidden.empty())
    return Fail(Errc::kInvalid,
                "holds the character " + CharacterName(hidden) + ", which no model has in its name; remove it");
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
    FURROW_TRY(CheckZeros(bound));
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

std::string WhyNotLiteral(std::string_view name, std::string_view value) {
  const std::string inner = VariableIn(value);
  if (inner.empty()) return "";
  return "is passed on as it is written, and `" + inner +
         "` in it is not replaced; set it in a step instead: `run: export " + std::string(name) + "=\"" +
         Shortened(value, 60) + "\"; …`";
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
