#include "agent/uploads/metrics.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include <nlohmann/json.hpp>

#include "common/base/text.h"
#include "common/wire/metrics.h"

namespace furrow {
namespace {

constexpr std::size_t kMaxLineBytes = 1 << 20;
constexpr std::size_t kMaxBytesAtOnce = 16 << 20;  // of the file, that one Read takes
constexpr std::size_t kShownBytes = 80;            // of a faulty line
constexpr std::size_t kMarkBytes = 4096;           // before the offset, by which a rewritten file is known
constexpr std::size_t kMostRemembered = 100'000;   // lines, to tell those that a rewritten file repeats
constexpr const char* kTooLong = "is longer than 1 MiB";

// Lists the words that languages print for values without a JSON number.
constexpr std::array<std::pair<std::string_view, double>, 7> kNotFinite{{
    {"-Infinity", -HUGE_VAL},
    {"Infinity", HUGE_VAL},
    {"-inf", -HUGE_VAL},
    {"inf", HUGE_VAL},
    {"NaN", NAN},
    {"nan", NAN},
    {"-nan", NAN},
}};

// Returns the line with the words of kNotFinite in quotation marks, which make them JSON.
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

// Returns the value of a number or of a word of kNotFinite.
std::optional<double> NumberOf(const nlohmann::json& value) {
  if (value.is_number()) return value.get<double>();
  if (!value.is_string()) return std::nullopt;
  for (const auto& [word, number] : kNotFinite)
    if (value.get_ref<const std::string&>() == word) return number;
  return std::nullopt;
}

// Returns the beginning of the text as people may see it.
std::string Shown(std::string_view text) {
  std::string shown = RepairedUtf8(std::string(text.substr(0, kShownBytes)));
  std::replace_if(
      shown.begin(), shown.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; }, ' ');
  return shown + (text.size() > kShownBytes ? "…" : "");
}

// Parses a line; says in `wrong` if a key comes twice, of which the last one counts.
nlohmann::json Parse(std::string_view line, std::string& wrong) {
  std::set<std::string> keys;
  const auto look = [&](int depth, nlohmann::json::parse_event_t event, nlohmann::json& parsed) {
    if (event != nlohmann::json::parse_event_t::key || depth != 1) return true;
    const auto& key = parsed.get_ref<const std::string&>();
    if (!keys.insert(key).second) wrong = "has `" + Shown(key) + "` twice, of which the last one is kept";
    return true;
  };
  return nlohmann::json::parse(line, look, /*allow_exceptions=*/false);
}

// Says why a line could not be parsed as an object.
std::string WhyNoObject(std::string_view line) {
  try {
    const auto parsed = nlohmann::json::parse(line);
    return std::string("is no JSON object but of type ") + parsed.type_name();
  } catch (const nlohmann::json::out_of_range&) {
    return "is no JSON object that can be kept: it has a number that is too large";
  } catch (const nlohmann::json::exception&) {
    return "is no JSON object";
  }
}

}  // namespace

ParsedMetricLine ParseMetricLine(std::string_view line) {
  ParsedMetricLine parsed;
  auto json = Parse(line, parsed.wrong);
  if (json.is_discarded()) json = Parse(QuoteNotFinite(line), parsed.wrong);
  if (!json.is_object()) {
    parsed.wrong = WhyNoObject(line);
    return parsed;
  }
  for (const auto& [name, value] : json.items()) {
    const std::optional<double> number = NumberOf(value);
    if (!number) {
      parsed.wrong = "has a value that is no number, of `" + Shown(name) + "`";
    } else if (name == "step") {
      if (*number >= 0 && *number < 9e15 && std::trunc(*number) == *number)
        parsed.line.step = static_cast<std::int64_t>(*number);
      else
        parsed.wrong = "has a step that is no whole number from 0 to 9e15, and is kept without it";
    } else if (name.empty() || name.size() > kMaxMetricNameBytes || !IsName(name)) {
      parsed.wrong =
          "has a name that is not 1 to " + std::to_string(kMaxMetricNameBytes) + " bytes of text without NUL";
    } else if (parsed.line.values.size() == kMaxMetricsPerLine) {
      parsed.wrong = "has more than " + std::to_string(kMaxMetricsPerLine) + " values";
    } else {
      parsed.line.values.push_back({name, *number});
    }
  }
  if (parsed.line.values.empty() && parsed.wrong.empty()) parsed.wrong = "has no number in it but, at most, the step";
  return parsed;
}

void MetricsReader::LeaveOut(const std::string& why, std::string_view line) {
  if (left_out_++ == 0)
    complaint_ = "line " + std::to_string(line_) + " " + why + (line.empty() ? "" : ": " + Shown(line));
}

std::string MetricsReader::LeftOut() const {
  std::string said;
  if (left_out_ > 0)
    said = std::to_string(left_out_) + (left_out_ == 1 ? " line" : " lines") +
           " of FURROW_METRICS could not be kept, or not whole: " + complaint_;
  if (!no_file_.empty()) said += (said.empty() ? "" : "; ") + ("FURROW_METRICS " + no_file_);
  if (Ended())
    said += (said.empty() ? "" : "; ") + ("FURROW_METRICS is not kept from line " + std::to_string(beyond_quota_)) +
            " on: " + MetricsQuotaWords();
  return said;
}

bool MetricsReader::HasRoom(const std::vector<MetricLine>& metrics) const {
  return !Ended() && metrics.size() < kMaxLinesAtOnce && bytes_ < kMaxMetricsBytes / 2;
}

// Returns whether the file repeats at this place a line that was there before the file was rewritten.
bool MetricsReader::IsRepeated(std::string_view text) {
  const std::size_t hash = std::hash<std::string_view>{}(text);
  const std::size_t at = line_ - 1;
  repeats_ = repeats_ && at < before_.size() && before_[at] == hash;
  if (at == seen_.size() && at < kMostRemembered) seen_.push_back(hash);
  return repeats_;
}

void MetricsReader::Take(std::string_view text, std::vector<MetricLine>& metrics) {
  const bool repeated = IsRepeated(text);
  if (text.find_first_not_of(" \t\r") == std::string_view::npos) return;
  ParsedMetricLine parsed = ParseMetricLine(text);
  MetricLine& line = parsed.line;
  Note(line);
  if (repeated) return;
  std::string& wrong = parsed.wrong;
  std::erase_if(line.values, [&](const Metric& one) {
    if (counted_.contains(one.name)) return false;
    if (counted_.size() < kMaxJobMetrics) return !counted_.emplace(one.name, one.value).second;
    wrong = "has the " + std::to_string(kMaxJobMetrics + 1) + "th name; a job may have " +
            std::to_string(kMaxJobMetrics) + " metrics";
    return true;
  });
  if (!wrong.empty()) LeaveOut(wrong, text);
  if (!line.values.empty()) Keep(std::move(line), metrics);
}

void MetricsReader::Note(const MetricLine& line) {
  if (!rewritten_) return;
  for (const Metric& one : line.values) in_file_.insert_or_assign(one.name, Newest{one.value, line.step});
}

void MetricsReader::Keep(MetricLine line, std::vector<MetricLine>& metrics) {
  if (!FitsMetricsQuota(kept_, kept_bytes_, line)) {
    beyond_quota_ = line_;
    return;
  }
  ++kept_;
  kept_bytes_ += WireBytes(line);
  for (const Metric& one : line.values) counted_.insert_or_assign(one.name, one.value);
  if (pass_over_ > 0) {
    --pass_over_;
    return;
  }
  bytes_ += WireBytes(line);
  metrics.push_back(std::move(line));
  ++next_;
}

// A file that was cut back to what it once had says by that which values are its newest.
void MetricsReader::CountNewest(std::vector<MetricLine>& metrics) {
  std::map<std::int64_t, MetricLine> by_step;
  bool rest = false;  // for the next Read
  for (const auto& [name, newest] : in_file_) {
    const auto counted = counted_.find(name);
    if (counted == counted_.end() || counted->second == newest.value) continue;
    if (std::isnan(counted->second) && std::isnan(newest.value)) continue;
    MetricLine& line = by_step[newest.step];
    line.step = newest.step;
    if (line.values.size() == kMaxMetricsPerLine)
      rest = true;
    else
      line.values.push_back({name, newest.value});
  }
  for (auto& [step, line] : by_step) {
    rest = rest || !HasRoom(metrics);
    if (HasRoom(metrics)) Keep(std::move(line), metrics);
  }
  more_ = rest && !Ended();
}

// Opens the file, and begins again with one that took its place or was written anew.
bool MetricsReader::OpenCurrent() {
  FileHandle current(::open(path_.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  no_file_.clear();
  if (!current) {
    if (errno != ENOENT)
      no_file_ = errno == ELOOP ? "is a link; write to the file that it was, or copy yours there when it is whole"
                                : "cannot be read: " + std::string(std::strerror(errno));
    return static_cast<bool>(file_);  // What was removed is read to its end.
  }
  struct stat now {};
  struct stat before {};
  if (::fstat(current.Get(), &now) != 0) return false;
  if (!S_ISREG(now.st_mode)) {
    no_file_ = S_ISDIR(now.st_mode) ? "is a folder and no file" : "is a pipe or device and no file";
    return static_cast<bool>(file_);
  }
  const bool same =
      file_ && ::fstat(file_.Get(), &before) == 0 && now.st_ino == before.st_ino && now.st_dev == before.st_dev;
  const bool rewritten =
      file_ && (!same || static_cast<std::uint64_t>(now.st_size) < offset_ || !EndsAsRead(current.Get()));
  file_ = std::move(current);
  if (rewritten) BeginAgain();
  return true;
}

// Returns whether the bytes before the offset are those that were read there.
bool MetricsReader::EndsAsRead(int fd) const {
  std::string there(mark_.size(), '\0');
  const ssize_t got = ::pread(fd, there.data(), there.size(), static_cast<off_t>(offset_ - mark_.size()));
  return got == static_cast<ssize_t>(there.size()) && there == mark_;
}

void MetricsReader::BeginAgain() {
  offset_ = 0;
  line_ = 0;
  pending_.clear();
  mark_.clear();
  too_long_ = false;
  pass_over_ = 0;
  rewritten_ = true;
  in_file_.clear();
  if (!seen_.empty()) before_ = std::move(seen_);
  seen_.clear();
  repeats_ = !before_.empty();
}

// A file of 200 GB of holes would be read for minutes: a hole that is longer than a line may be is a part of one.
void MetricsReader::PassOverHole() {
  struct stat now {};
  if (::fstat(file_.Get(), &now) != 0) return;
  const off_t data = ::lseek(file_.Get(), static_cast<off_t>(offset_), SEEK_DATA);
  if (data < 0 && errno != ENXIO) return;
  const auto end = static_cast<std::uint64_t>(data < 0 ? now.st_size : data);
  if (end < offset_ + kMaxLineBytes) return;
  too_long_ = true;
  pending_.clear();
  offset_ = end;
  mark_.assign(kMarkBytes, '\0');
}

std::vector<MetricLine> MetricsReader::Read(bool last) {
  std::vector<MetricLine> metrics;
  first_ = next_;
  bytes_ = 0;
  more_ = false;
  if (path_.empty() || Ended()) return metrics;
  if (!OpenCurrent()) return metrics;

  std::array<char, 64 << 10> part;
  bool at_end = false;
  std::size_t read = 0;
  while (HasRoom(metrics)) {
    std::size_t begin = 0;
    for (std::size_t end; HasRoom(metrics) && (end = pending_.find('\n', begin)) != std::string::npos;
         begin = end + 1) {
      ++line_;
      if (std::exchange(too_long_, false)) {
        LeaveOut(kTooLong, "");
      } else {
        Take(std::string_view(pending_).substr(begin, end - begin), metrics);
      }
    }
    pending_.erase(0, begin);
    // A file of nothing but faulty lines has no end for its reader either.
    more_ = !Ended() && (!HasRoom(metrics) || (read >= kMaxBytesAtOnce && !at_end));
    if (more_ || Ended()) break;
    if (pending_.size() > kMaxLineBytes) {
      too_long_ = true;
      pending_.clear();
    }
    if (at_end) break;
    const ssize_t got = ::pread(file_.Get(), part.data(), part.size(), static_cast<off_t>(offset_));
    if (got > 0) {
      offset_ += static_cast<std::uint64_t>(got);
      read += static_cast<std::size_t>(got);
      pending_.append(part.data(), static_cast<std::size_t>(got));
      mark_.append(part.data(), static_cast<std::size_t>(got));
      if (mark_.size() > kMarkBytes) mark_.erase(0, mark_.size() - kMarkBytes);
      const std::string_view bytes(part.data(), static_cast<std::size_t>(got));
      if (bytes.front() == '\0' && bytes.back() == '\0' && bytes.find('\n') == bytes.npos) PassOverHole();
    } else {
      at_end = true;
      // An earlier process of the agent has reported more lines than there are: the file was rewritten meanwhile.
      if (pass_over_ > 0 && !too_long_ && pending_.find('\n') == std::string::npos) {
        seen_.clear();
        BeginAgain();
        kept_ = next_;
        at_end = false;
      }
    }
  }
  if (at_end && last && (too_long_ || !pending_.empty())) {
    ++line_;
    if (std::exchange(too_long_, false))
      LeaveOut(kTooLong, "");
    else
      Take(pending_, metrics);
    pending_.clear();
  }
  if (at_end && last && !Ended()) CountNewest(metrics);
  return metrics;
}

}  // namespace furrow
