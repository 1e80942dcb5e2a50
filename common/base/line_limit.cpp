#include "common/base/line_limit.h"

#include <algorithm>

#include <fmt/core.h>

namespace furrow::log {
namespace {

std::string Shown(std::string_view text) {
  return text.size() <= LineLimit::kShownBytes ? std::string(text)
                                               : std::string(text.substr(0, LineLimit::kShownBytes)) + " …";
}

std::string Times(std::uint64_t count) {
  return count == 1 ? "once more" : fmt::format("{} more times", count);
}

}  // namespace

bool LineLimit::Admits(Time now, const void* site_id, std::string_view subject_name, std::string_view text,
                       unsigned most) {
  Site& site = sites_[site_id];
  // What was kept back before is told first: see TakeCounts.
  if (site.written == 0 || (now - site.began >= kPeriod && site.kept_back == 0 &&
                            std::none_of(site.subjects.begin(), site.subjects.end(),
                                         [](const auto& entry) { return entry.second.kept_back > 0; }))) {
    site = Site{};
    site.began = now;
  }
  const auto keep_back = [&](std::uint64_t& count) {
    ++count;
    next_due_ = std::min(next_due_, site.began + kPeriod);
    return false;
  };
  const auto found = site.subjects.find(std::string(subject_name));
  if (found != site.subjects.end() && found->second.written >= most) return keep_back(found->second.kept_back);
  if (site.written >= kLinesOfASite) {
    if (site.kept_back == 0) site.text = Shown(text);
    return keep_back(site.kept_back);
  }
  Subject& subject = found != site.subjects.end() ? found->second : site.subjects[std::string(subject_name)];
  if (subject.written++ == 0) subject.text = Shown(text);
  ++site.written;
  return true;
}

std::vector<std::string> LineLimit::TakeCounts(Time now, bool all) {
  std::vector<std::string> lines;
  if (!all && now < next_due_) return lines;
  next_due_ = Time::max();
  for (auto entry = sites_.begin(); entry != sites_.end();) {
    Site& site = entry->second;
    const bool over = all || now - site.began >= kPeriod;
    bool kept_back = site.kept_back > 0;
    for (const auto& [name, subject] : site.subjects) {
      if (subject.kept_back == 0) continue;
      kept_back = true;
      if (over) lines.push_back(fmt::format("{} (this happened {})", subject.text, Times(subject.kept_back)));
    }
    if (over && site.kept_back > 0)
      lines.push_back(fmt::format("{} (and the like {})", site.text, Times(site.kept_back - 1)));
    if (kept_back && !over) next_due_ = std::min(next_due_, site.began + kPeriod);
    over ? entry = sites_.erase(entry) : ++entry;
  }
  return lines;
}

}  // namespace furrow::log
