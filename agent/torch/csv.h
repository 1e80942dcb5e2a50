// Reads comma-separated numbers: each line is one example, and one column is the label.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "agent/torch/array.h"
#include "common/base/error.h"

namespace furrow::steps {

struct CsvOptions {
  bool header = true;                                  // The first line has the columns' names.
  std::variant<std::int64_t, std::string> label = -1;  // column from 0, negative: from the end; or its name
  bool header_chosen = false;                          // `header` is the user's own word, so that names may be numbers
};

struct CsvTable {
  Array inputs;                // float64 [lines, columns - 1]: every column but the label's, in order
  std::vector<double> labels;  // one for each line
};

// Reads a CSV file, plain or gzip, with any kind of line ends. Blank lines are skipped, as are blanks and quotes around
// a field. kInvalid: a field is no number, a line has more or fewer columns, there is no such label column, the first
// line has numbers where names are expected, or the separator is no comma; the message has line and column.
Result<CsvTable> ReadCsv(const std::string& path, const CsvOptions& options);

}  // namespace furrow::steps
