#include "common/wire/selector.h"

#include <charconv>
#include <string_view>

namespace furrow {
namespace {

constexpr std::string_view kForm =
    "; say PIPELINE#NUMBER, PIPELINE#NUMBER/JOB or PIPELINE#NUMBER/JOB/SHARD; without #NUMBER it is the newest run; "
    "PROJECT/PIPELINE#NUMBER is in another project";

bool IsName(std::string_view text, std::string_view beyond_letters) {
  if (text.empty() || text.size() > 64) return false;
  for (const char c : text) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!letter && beyond_letters.find(c) == beyond_letters.npos) return false;
  }
  return true;
}

template <class N>
std::optional<N> ParseNumber(std::string_view text) {
  N number = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (failed != std::errc{} || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return number;
}

// Cuts `text` at the first `mark` and returns the rest behind it; nullopt if there is no mark.
std::optional<std::string_view> CutAt(std::string_view& text, char mark) {
  const std::size_t at = text.find(mark);
  if (at == text.npos) return std::nullopt;
  const std::string_view rest = text.substr(at + 1);
  text = text.substr(0, at);
  return rest;
}

}  // namespace

Result<Selector> ParseSelector(std::string_view text) {
  const auto fail = [whole = std::string(text)](std::string_view why) {
    return Fail(Errc::kInvalid, "\"" + whole + "\": " + std::string(why) + std::string(kForm));
  };
  Selector selector;
  if (const std::size_t slash = text.find('/'); slash < text.find('#') && text.find('#') != text.npos) {
    selector.project = text.substr(0, slash);
    text.remove_prefix(slash + 1);
    if (!IsName(selector.project, "_.-")) return fail("not the name of a project in front");
  }
  std::optional<std::string_view> job = CutAt(text, '/');
  std::optional<std::string_view> shard = job ? CutAt(*job, '/') : std::nullopt;
  const std::optional<std::string_view> number = CutAt(text, '#');

  if (!IsName(text, "_.-")) return fail("not the name of a pipeline in front");
  selector.pipeline = text;
  if (number) {
    const auto value = ParseNumber<std::uint64_t>(*number);
    if (!value || *value == 0) return fail("no number of a run, from 1, behind #");
    selector.number = *value;
  }
  if (job) {
    if (!IsName(*job, "_-")) return fail("not the name of a job behind /");
    selector.job = *job;
  }
  if (shard) {
    selector.shard = ParseNumber<std::uint32_t>(*shard);
    if (!selector.shard) return fail("no number of a shard, from 0, at the end");
  }
  return selector;
}

std::string FormatRun(const Selector& selector) {
  std::string text = selector.project.empty() ? "" : selector.project + "/";
  text += selector.pipeline;
  if (selector.number != 0) text += "#" + std::to_string(selector.number);
  return text;
}

std::string FormatSelector(const Selector& selector) {
  std::string text = FormatRun(selector);
  if (!selector.job.empty()) text += "/" + selector.job;
  if (selector.shard) text += "/" + std::to_string(*selector.shard);
  return text;
}

}  // namespace furrow
