// This file draws curves in the terminal.
#include <algorithm>
#include <cmath>
#include <limits>

#include "controller/cli/show/views.h"

namespace furrow::cli {
namespace {

constexpr std::size_t kPlotRows = 12;
constexpr std::size_t kPlotColumns = 72;  // columns where the width is not limited
constexpr std::size_t kSparkColumns = 24;

struct Range {
  double low = 0, high = 0;
};

// Returns the range of the finite values; a flat line gets some space around it.
Range RangeOf(const std::vector<double>& values) {
  Range range{std::numeric_limits<double>::infinity(), -std::numeric_limits<double>::infinity()};
  for (const double value : values) {
    if (!std::isfinite(value)) continue;
    range.low = std::min(range.low, value);
    range.high = std::max(range.high, value);
  }
  if (range.low > range.high) return {0, 1};
  if (range.low == range.high) return {range.low - 0.5, range.high + 0.5};
  return range;
}

// Returns a level from 0 to steps - 1, counted from the bottom.
std::size_t Level(double value, const Range& range, std::size_t steps) {
  const double part = (value - range.low) / (range.high - range.low);
  return std::min(steps - 1,
                  static_cast<std::size_t>(std::lround(std::clamp(part, 0.0, 1.0) * static_cast<double>(steps - 1))));
}

// Draws the course of the values, one block for each part of them.
std::string Spark(const std::vector<double>& values) {
  constexpr const char* kBlocks[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  const Range range = RangeOf(values);
  const std::size_t columns = std::min(values.size(), kSparkColumns);
  std::string text;
  for (std::size_t i = 0; i < columns; ++i) {
    const double value = values[columns == 1 ? 0 : i * (values.size() - 1) / (columns - 1)];
    text += std::isfinite(value) ? kBlocks[Level(value, range, std::size(kBlocks))] : " ";
  }
  return text;
}

// A Canvas draws dots in braille characters of 2 × 4 dots each.
class Canvas {
 public:
  Canvas(std::size_t columns, std::size_t rows) : columns_(columns), rows_(rows), cells_(columns * rows) {}

  void Set(std::size_t x, std::size_t y_from_bottom) {
    constexpr unsigned char kDots[2][4] = {{0x01, 0x02, 0x04, 0x40}, {0x08, 0x10, 0x20, 0x80}};
    const std::size_t y = rows_ * 4 - 1 - y_from_bottom;
    cells_[y / 4 * columns_ + x / 2] |= kDots[x % 2][y % 4];
  }

  std::string Row(std::size_t row) const {
    std::string text;
    for (std::size_t i = 0; i < columns_; ++i) {
      const unsigned char cell = cells_[row * columns_ + i];
      if (cell == 0) {
        text += ' ';
        continue;
      }
      text += '\xE2';  // U+2800 + cell
      text += static_cast<char>(0xA0 | cell >> 6);
      text += static_cast<char>(0x80 | (cell & 0x3F));
    }
    while (text.ends_with(' ')) text.pop_back();
    return text;
  }

 private:
  std::size_t columns_, rows_;
  std::vector<unsigned char> cells_;
};

// Says that not all values of a series are here; empty: they are.
std::string Thinned(const MetricSeries& series) {
  if (series.reported <= series.values.size()) return {};
  return ", " + std::to_string(series.values.size()) + " of " + std::to_string(series.reported) +
         " values are shown: the least and the greatest of each stretch, and the last";
}

}  // namespace

std::string RenderMetricTable(const MetricsAnswer& metrics, const ViewStyle& style) {
  if (metrics.series.empty()) return "no metrics; a job writes them to $FURROW_METRICS\n";
  using Align = Table::Align;
  using Room = Table::Room;
  Table table({{"JOB"},
               {"METRIC"},
               {"VALUES", Align::kRight, Room::kSpare},
               {"FIRST", Align::kRight, Room::kSpare},
               {"LAST", Align::kRight},
               {"LEAST", Align::kRight},
               {"MOST", Align::kRight},
               {"COURSE", Align::kLeft, Room::kSpare}});
  for (const MetricSeries& series : metrics.series) {
    if (series.values.empty()) continue;
    const auto [least, most] = std::minmax_element(series.values.begin(), series.values.end());
    table.Add({{series.job, Colour::kBold},
               {series.name},
               {std::to_string(std::max<std::uint64_t>(series.reported, series.values.size()))},
               {FormatNumber(series.values.front())},
               {FormatNumber(series.values.back()), Colour::kGreen},
               {FormatNumber(*least)},
               {FormatNumber(*most)},
               {Spark(series.values), Colour::kCyan}});
  }
  std::string text = table.Render(style.colour, style.width);
  for (const MetricSeries& series : metrics.series)
    if (const std::string thinned = Thinned(series); !thinned.empty())
      text += "of " + Plain(series.job + " " + series.name) + thinned + "\n";
  return text;
}

std::string RenderMetricPlot(const MetricSeries& series, const ViewStyle& style) {
  const std::string title =
      Paint(Plain(series.job + "  " + series.name), Colour::kBold, style.colour) + Thinned(series) + "\n";
  if (series.values.empty() || series.steps.size() != series.values.size()) return title + "no values\n";
  const Range range = RangeOf(series.values);
  const std::string top = FormatNumber(range.high), bottom = FormatNumber(range.low);
  const std::size_t margin = std::max(Width(top), Width(bottom)) + 1;
  const std::size_t columns = style.width == 0
                                  ? kPlotColumns
                                  : std::max<std::size_t>(style.width > margin + 3 ? style.width - margin - 3 : 0, 10);
  const auto [first, last] = std::minmax_element(series.steps.begin(), series.steps.end());
  const double span = std::max(static_cast<double>(*last) - static_cast<double>(*first), 1.0);

  Canvas canvas(columns, kPlotRows);
  const std::size_t right = columns * 2 - 1;
  std::size_t last_x = 0, last_y = 0;
  bool joined = false;
  for (std::size_t i = 0; i < series.values.size(); ++i) {
    if (!std::isfinite(series.values[i])) {
      joined = false;
      continue;
    }
    const double part = (static_cast<double>(series.steps[i]) - static_cast<double>(*first)) / span;
    const auto x = static_cast<std::size_t>(std::lround(part * static_cast<double>(right)));
    const std::size_t y = Level(series.values[i], range, kPlotRows * 4);
    if (!joined) canvas.Set(x, y);
    // The line is drawn dot by dot along the longer side, so that steep parts have no gaps.
    const std::size_t wide = x > last_x ? x - last_x : last_x - x, high = y > last_y ? y - last_y : last_y - y;
    const std::size_t dots = joined ? std::max(wide, high) : 0;
    for (std::size_t dot = 1; dot <= dots; ++dot) {
      const double along = static_cast<double>(dot) / static_cast<double>(dots);
      const auto between = [&](std::size_t from, std::size_t to) {
        return static_cast<std::size_t>(
            std::lround(static_cast<double>(from) * (1 - along) + static_cast<double>(to) * along));
      };
      canvas.Set(between(last_x, x), between(last_y, y));
    }
    if (joined && dots == 0) canvas.Set(x, y);
    last_x = x;
    last_y = y;
    joined = true;
  }

  std::string text = title;
  for (std::size_t row = 0; row < kPlotRows; ++row) {
    const std::string label = row == 0 ? top : row + 1 == kPlotRows ? bottom : "";
    text += std::string(margin - 1 - Width(label), ' ') + Paint(label, Colour::kDim, style.colour) + " │" +
            Paint(canvas.Row(row), Colour::kCyan, style.colour) + "\n";
  }
  const std::string from = std::to_string(*first), to = "step " + std::to_string(*last);
  const std::size_t gap = columns > from.size() + to.size() ? columns - from.size() - to.size() : 1;
  std::string axis;
  for (std::size_t i = 0; i < columns; ++i) axis += "─";
  text += std::string(margin, ' ') + "└" + axis + "\n" + std::string(margin + 1, ' ') +
          Paint(from + std::string(gap, ' ') + to, Colour::kDim, style.colour) + "\n";
  return text;
}

}  // namespace furrow::cli
