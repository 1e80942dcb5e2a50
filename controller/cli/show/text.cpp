#include "controller/cli/show/text.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <ctime>

#include "common/base/text.h"

namespace furrow::cli {
namespace {

constexpr std::string_view kNothing = "-";  // what a cell shows that has nothing to show
constexpr std::size_t kBetween = 2;         // columns between two cells of a table
constexpr std::size_t kLeastCut = 12;       // columns that a text in a row keeps at least
constexpr std::size_t kIndent = 4;          // columns before what stands below its row

constexpr const char* kColours[] = {"", "\033[2m", "\033[1m", "\033[31m", "\033[32m", "\033[33m", "\033[36m"};

template <class... Args>
std::string Print(const char* format, Args... args) {
  std::array<char, 96> buffer{};
  const int size = std::snprintf(buffer.data(), buffer.size(), format, args...);
  return {buffer.data(), std::min(static_cast<std::size_t>(std::max(size, 0)), buffer.size() - 1)};
}

// Breaks a text into lines of at most `width` columns, between words where there are any.
std::vector<std::string> Folded(std::string_view text, std::size_t width) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    std::size_t end = 0, blank = 0;  // where the line ends at the latest, and the last blank before that
    for (std::size_t columns = 0; columns < width && end < text.size(); ++columns) {
      if (text[end] == ' ') blank = end;
      end += std::max<std::size_t>(1, Utf8CharacterSize(text.substr(end)));
    }
    if (end < text.size() && text[end] != ' ' && blank > 0) end = blank;
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(end);
    while (text.starts_with(' ')) text.remove_prefix(1);
  }
  return lines;
}

}  // namespace

std::string Paint(std::string_view text, Colour colour, bool on) {
  if (!on || colour == Colour::kNone || text.empty()) return std::string(text);
  return kColours[static_cast<std::size_t>(colour)] + std::string(text) + "\033[0m";
}

std::size_t Width(std::string_view text) {
  return CountCharacters(text);
}

std::string Cut(std::string_view text, std::size_t width) {
  if (Width(text) <= width) return std::string(text);
  if (width == 0) return "";
  std::size_t at = 0;
  for (std::size_t columns = 1; columns < width; ++columns)
    at += std::max<std::size_t>(1, Utf8CharacterSize(text.substr(at)));
  return std::string(text.substr(0, at)) + "…";
}

std::string FormatDuration(std::chrono::milliseconds duration) {
  const std::int64_t ms = std::max<std::int64_t>(duration.count(), 0);
  const std::int64_t seconds = ms / 1000;
  if (ms < 10'000) return Print("%.2fs", static_cast<double>(ms) / 1000);
  if (ms < 60'000) return Print("%.1fs", static_cast<double>(ms) / 1000);
  if (seconds < 3600) return Print("%dm%02ds", static_cast<int>(seconds / 60), static_cast<int>(seconds % 60));
  if (seconds < 86400) return Print("%dh%02dm", static_cast<int>(seconds / 3600), static_cast<int>(seconds / 60 % 60));
  return Print("%lldd%02dh", static_cast<long long>(seconds / 86400), static_cast<int>(seconds / 3600 % 24));
}

std::string FormatBytes(std::uint64_t bytes) {
  constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  if (bytes < 1024) return std::to_string(bytes) + " B";
  double value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 1024 && unit + 1 < std::size(kUnits)) {
    value /= 1024;
    ++unit;
  }
  return Print(value < 10 ? "%.1f %s" : "%.0f %s", value, kUnits[unit]);
}

std::string FormatNumber(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  return Print(value == std::floor(value) && std::abs(value) < 1e9 ? "%.0f" : "%.4g", value);
}

std::string FormatTime(WallTime time) {
  const auto ms = static_cast<std::int64_t>(time);
  if (ms == 0) return "-";
  const std::time_t seconds = ms / 1000;
  std::tm local{};
  ::localtime_r(&seconds, &local);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S", &local);
  return text.data();
}

std::string FormatCpus(std::uint64_t milli) {
  return milli % 1000 == 0 ? std::to_string(milli / 1000) : Print("%.4g", static_cast<double>(milli) / 1000);
}

std::string FormatSpan(WallTime start, WallTime end, WallTime now) {
  if (start == WallTime{}) return "";
  const auto until = static_cast<std::int64_t>(end == WallTime{} ? now : end);
  return FormatDuration(std::chrono::milliseconds(until - static_cast<std::int64_t>(start)));
}

void Table::Add(std::vector<Cell> row) {
  for (Cell& cell : row) cell.text = Plain(cell.text);
  row.resize(columns_.size());
  rows_.push_back(std::move(row));
}

std::vector<std::size_t> Table::Widths() const {
  std::vector<std::size_t> widths;
  for (const Column& column : columns_) widths.push_back(Width(column.heading));
  for (const auto& row : rows_)
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], Width(row[i].text));
  return widths;
}

// Decides where each column goes so that the rows fit: first the lines of their own, then what can be spared. Then
// texts are cut, the longest first; numbers are not, for a part of one is another number. In the end the last columns
// go.
Table::Layout Table::Fit(std::size_t width) const {
  Layout layout{Widths(), std::vector<Place>(columns_.size(), Place::kInRow)};
  auto& widths = layout.widths;
  auto& places = layout.places;
  const auto excess = [&] {
    std::size_t used = 0;
    for (std::size_t i = 0; i < columns_.size(); ++i)
      if (places[i] == Place::kInRow) used += widths[i] + kBetween;
    return width == 0 || used <= width + kBetween ? 0 : used - width - kBetween;
  };
  for (const auto& [room, place] : {std::pair(Room::kOwnLine, Place::kBelow), {Room::kSpare, Place::kNowhere}})
    for (std::size_t i = columns_.size(); i-- > 0 && excess() > 0;)
      if (columns_[i].room == room) places[i] = place;
  for (std::size_t over = excess(); over > 0; over = excess()) {
    std::size_t longest = columns_.size();
    for (std::size_t i = 0; i < columns_.size(); ++i)
      if (places[i] == Place::kInRow && columns_[i].align == Align::kLeft && widths[i] > kLeastCut &&
          (longest == columns_.size() || widths[i] > widths[longest]))
        longest = i;
    if (longest == columns_.size()) break;
    widths[longest] -= std::min(over, widths[longest] - kLeastCut);
  }
  for (std::size_t i = columns_.size(); i-- > 1 && excess() > 0;)
    if (places[i] == Place::kInRow) places[i] = Place::kNowhere;
  return layout;
}

std::string Table::Render(bool colour, std::size_t width) const {
  const Layout layout = Fit(width);
  const auto& widths = layout.widths;
  const auto& places = layout.places;

  std::string out;
  const auto line = [&](const std::vector<Cell>& row) {
    std::string text;
    std::size_t used = 0, pending = 0;  // Spaces are written only before a further cell.
    for (std::size_t i = 0; i < row.size(); ++i) {
      if (places[i] != Place::kInRow) continue;
      std::string cell = Cut(row[i].text, widths[i]);
      const bool right = columns_[i].align == Align::kRight;
      if (right) pending += widths[i] - Width(cell);
      const std::size_t at = used + pending;
      if (width != 0) cell = Cut(cell, width > at ? width - at : 0);
      const std::size_t columns = Width(cell);
      const std::size_t padding = widths[i] > columns ? widths[i] - columns : 0;
      if (columns != 0) {
        text += std::string(pending, ' ') + Paint(cell, row[i].colour, colour);
        used += pending + columns;
        pending = 0;
      }
      pending += (right ? 0 : padding) + kBetween;
    }
    out += text + "\n";
  };
  std::vector<Cell> headings;
  for (const Column& column : columns_) headings.push_back({column.heading, Colour::kDim});
  line(headings);
  for (const auto& row : rows_) {
    line(row);
    for (std::size_t i = 0; i < row.size(); ++i)
      if (places[i] == Place::kBelow && row[i].text != kNothing)
        for (const std::string& part : Folded(row[i].text, width > kIndent ? width - kIndent : 1))
          out += std::string(std::min(kIndent, width - 1), ' ') + Paint(part, row[i].colour, colour) + "\n";
  }
  std::string spared;
  for (std::size_t i = 0; i < columns_.size(); ++i)
    if (places[i] == Place::kNowhere) spared += (spared.empty() ? "" : ", ") + columns_[i].heading;
  if (!spared.empty())
    for (const std::string& part : Folded("no room here for: " + spared + "; see --json, or a wider terminal", width))
      out += Paint(part, Colour::kDim, colour) + "\n";
  return out;
}

}  // namespace furrow::cli
