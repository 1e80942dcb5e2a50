// Comma-separated numbers: one example a line, one column of it the label.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "agent/torch/array.h"
#include "common/base/error.h"

namespace furrow::steps {

struct CsvOptions {
  bool header = true;                                  // the first line has the columns' names
  std::variant<std::int64_t, std::string> label = -1;  // from 0, or negative from the end; or a name
};

struct CsvTable {
  Array inputs;                // float32 [lines, columns - 1]: every column but the label's, in order
  std::vector<double> labels;  // one a line
};

// Reads a CSV file, plain or gzip. Blank lines are skipped, blanks and quotes around a field too.
// kInvalid: a field that is no number, a line with more or fewer columns, no such label column;
// says line and column.
Result<CsvTable> ReadCsv(const std::string& path, const CsvOptions& options);

}  // namespace furrow::steps
