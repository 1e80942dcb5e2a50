#include "controller/cli/show/text.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <ctime>

#include "common/base/text.h"

namespace furrow::cli {
namespace {

constexpr const char* kColours[] = {"", "\033[2m", "\033[1m", "\033[31m", "\033[32m", "\033[33m", "\033[36m"};

template <class... Args>
std::string Print(const char* format, Args... args) {
  std::array<char, 96> buffer{};
  const int size = std::snprintf(buffer.data(), buffer.size(), format, args...);
  return {buffer.data(), std::min(static_cast<std::size_t>(std::max(size, 0)), buffer.size() - 1)};
}

// Returns the bytes of the character at the front of `text` if a terminal may show it, else 0.
std::size_t CharacterAt(std::string_view text) {
  const std::size_t size = Utf8CharacterSize(text);
  const bool c1_control = size == 2 && text[0] == '\xC2' && static_cast<unsigned char>(text[1]) < 0xA0;
  return c1_control ? 0 : size;
}

}  // namespace

std::string Paint(std::string_view text, Colour colour, bool on) {
  if (!on || colour == Colour::kNone || text.empty()) return std::string(text);
  return kColours[static_cast<std::size_t>(colour)] + std::string(text) + "\033[0m";
}

std::string Plain(std::string_view text) {
  std::string plain;
  plain.reserve(text.size());
  while (!text.empty()) {
    const std::size_t size = CharacterAt(text);
    const auto first = static_cast<unsigned char>(text[0]);
    if (size == 0 || first < 0x20 || first == 0x7F)
      plain += '?';
    else
      plain += text.substr(0, size);
    text.remove_prefix(std::max<std::size_t>(size, 1));
  }
  return plain;
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

std::string Table::Render(bool colour, std::size_t width) const {
  std::vector<std::size_t> widths;
  for (const Column& column : columns_) widths.push_back(Width(column.heading));
  for (const auto& row : rows_)
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], Width(row[i].text));

  std::string out;
  const auto line = [&](const std::vector<Cell>& row) {
    std::string text;
    std::size_t used = 0, pending = 0;  // Spaces are written only before a further cell.
    for (std::size_t i = 0; i < row.size(); ++i) {
      std::string cell = row[i].text;
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
      pending += (right ? 0 : padding) + 2;
    }
    out += text + "\n";
  };
  std::vector<Cell> headings;
  for (const Column& column : columns_) headings.push_back({column.heading, Colour::kDim});
  line(headings);
  for (const auto& row : rows_) line(row);
  return out;
}

}  // namespace furrow::cli
