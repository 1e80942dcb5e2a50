// Numbers, times and untrusted words as a person reads them, and tables of them.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/clock.h"

namespace furrow::cli {

enum class Colour : std::uint8_t { kNone, kDim, kBold, kRed, kGreen, kYellow, kCyan };

// `text` in a colour, if `on`; as it is otherwise.
std::string Paint(std::string_view text, Colour colour, bool on);

// One line, fit for a terminal: control characters and what is not UTF-8 become '?'. Everything that comes from
// outside passes through this before it is shown.
std::string Plain(std::string_view text);

// Columns that text takes, wide characters not considered; without control characters or colours.
std::size_t Width(std::string_view text);
// The first `width` columns; a cut text ends in "…".
std::string Cut(std::string_view text, std::size_t width);

std::string FormatDuration(std::chrono::milliseconds duration);  // 0.42s 12.3s 3m05s 2h04m 3d02h
std::string FormatBytes(std::uint64_t bytes);                    // 512 B, 1.5 MiB
std::string FormatNumber(double value);                          // 0.8125, 1.2e-05
std::string FormatTime(WallTime time);                           // local, 2026-07-01 12:00:03; "-" if not known
std::string FormatCpus(std::uint64_t milli);                     // 4, 0.5

// From `start` to `end`, or to `now` while there is no end; "" if it has not started.
std::string FormatSpan(WallTime start, WallTime end, WallTime now);

// Columns under headings; widths by content.
class Table {
 public:
  enum class Align : std::uint8_t { kLeft, kRight };
  struct Column {
    std::string heading;
    Align align = Align::kLeft;
  };
  struct Cell {
    std::string text;
    Colour colour = Colour::kNone;
  };

  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  void Add(std::vector<Cell> row);
  bool empty() const { return rows_.empty(); }

  // Lines that end in a newline. What lies beyond `width` (0: no limit) is cut off.
  std::string Render(bool colour, std::size_t width) const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<Cell>> rows_;
};

}  // namespace furrow::cli
