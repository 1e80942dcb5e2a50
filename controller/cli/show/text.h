// These functions format numbers, times, untrusted text and tables for a person.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/clock.h"
#include "common/base/text.h"

namespace furrow::cli {

enum class Colour : std::uint8_t { kNone, kDim, kBold, kRed, kGreen, kYellow, kCyan };

// Returns `text` in a colour if `on`, and unchanged otherwise.
std::string Paint(std::string_view text, Colour colour, bool on);

// Returns the columns that a text without control characters or colours takes. Wide characters count as one column.
std::size_t Width(std::string_view text);
// Returns the first `width` columns; a cut text ends in "…".
std::string Cut(std::string_view text, std::size_t width);

std::string FormatDuration(std::chrono::milliseconds duration);  // 0.42s 12.3s 3m05s 2h04m 3d02h
std::string FormatBytes(std::uint64_t bytes);                    // 512 B, 1.5 MiB
std::string FormatNumber(double value);                          // 0.8125, 1.2e-05
std::string FormatTime(WallTime time);                           // local, 2026-07-01 12:00:03; "-" if not known
std::string FormatCpus(std::uint64_t milli);                     // 4, 0.5

// Formats the time from `start` to `end`, or to `now` while there is no end; "" if `start` is not set.
std::string FormatSpan(WallTime start, WallTime end, WallTime now);

// A Table has columns under headings; the content sets the widths.
class Table {
 public:
  enum class Align : std::uint8_t { kLeft, kRight };
  // What becomes of a column in a terminal that is too narrow for all of them.
  enum class Room : std::uint8_t {
    kNeeded,   // It stays, and may be cut, with a "…". If all are cut and too wide still, the last are left out as
               // below.
    kOwnLine,  // It moves to lines of its own below its row, whole: the last such column first.
    kSpare,    // It is left out, with a word below the table: the last such column first.
  };
  struct Column {
    std::string heading;
    Align align = Align::kLeft;
    Room room = Room::kNeeded;
  };
  struct Cell {
    std::string text;
    Colour colour = Colour::kNone;
  };

  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  void Add(std::vector<Cell> row);
  bool empty() const { return rows_.empty(); }

  // Returns lines that end in a newline, at most `width` wide (0: no limit). What does not fit makes room as its column
  // says; no column is left out without a word.
  std::string Render(bool colour, std::size_t width) const;

 private:
  enum class Place : std::uint8_t { kInRow, kBelow, kNowhere };
  struct Layout {
    std::vector<std::size_t> widths;
    std::vector<Place> places;
  };
  std::vector<std::size_t> Widths() const;
  Layout Fit(std::size_t width) const;

  std::vector<Column> columns_;
  std::vector<std::vector<Cell>> rows_;
};

}  // namespace furrow::cli
