#include "agent/torch/csv.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <optional>
#include <string_view>
#include <utility>

#include "agent/torch/data_file.h"
#include "common/base/text.h"

namespace furrow::steps {
namespace {

constexpr std::string_view kBlanks = " \t";

std::string_view Trim(std::string_view text) {
  const auto first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

// Takes the next line off `rest`, without its end: \n, \r\n or \r. A line's end within quotes belongs to the field.
std::string_view NextLine(std::string_view& rest, std::size_t& line_number) {
  bool quoted = false;
  std::size_t end = 0;
  for (; end < rest.size(); ++end) {
    if (rest[end] == '"') quoted = !quoted;
    const bool line_end = rest[end] == '\n' || (rest[end] == '\r' && !rest.substr(end).starts_with("\r\n"));
    if (!line_end) continue;
    ++line_number;
    if (!quoted) break;
  }
  if (end == rest.size()) ++line_number;
  std::string_view line = rest.substr(0, end);
  rest.remove_prefix(end == rest.size() ? end : end + 1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

// Splits a line at the commas that stand in no quotes, and takes the quotes off. False: a quote is not closed, or
// something follows it.
bool Split(std::string_view line, std::vector<std::string_view>& fields) {
  fields.clear();
  for (;;) {
    const auto first = line.find_first_not_of(kBlanks);
    if (first == std::string_view::npos || line[first] != '"') {
      const auto comma = line.find(',');
      fields.push_back(Trim(line.substr(0, comma)));
      if (comma == std::string_view::npos) return true;
      line.remove_prefix(comma + 1);
      continue;
    }
    line.remove_prefix(first + 1);
    std::size_t end = line.find('"');
    while (end != std::string_view::npos && line.substr(end).starts_with("\"\"")) end = line.find('"', end + 2);
    if (end == std::string_view::npos) return false;
    fields.push_back(Trim(line.substr(0, end)));
    line = Trim(line.substr(end + 1));
    if (line.empty()) return true;
    if (line.front() != ',') return false;
    line.remove_prefix(1);
  }
}

// Returns how to mend a line that is a comment, or that something else than commas separates; empty: nothing of this
// kind is seen.
std::string LineCure(std::string_view line) {
  if (Trim(line).starts_with('#')) return "; it is a comment, which no CSV file has: take it out (grep -v '^#')";
  for (const auto& [mark, name] : {std::pair{';', "';'"}, std::pair{'\t', "tabs"}, std::pair{'|', "'|'"}}) {
    if (line.find(mark) == std::string_view::npos) continue;
    return std::string("; its fields are separated by ") + name +
           ", commas are read: save it with commas between fields and points in numbers (pandas: sep=',', decimal='.')";
  }
  if (Trim(line).find_first_of(kBlanks) == std::string_view::npos || line.find(',') != std::string_view::npos)
    return {};
  return "; its fields are separated by blanks, commas are read: save it with commas (numpy.savetxt: delimiter=',')";
}

std::optional<double> Number(std::string_view field) {
  if (field.starts_with('+')) field.remove_prefix(1);
  double value = 0;
  const auto [after, error] = std::from_chars(field.data(), field.data() + field.size(), value);
  if (error != std::errc{} || after != field.data() + field.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

Result<std::size_t> LabelColumn(const std::string& path, const CsvOptions& options,
                                const std::vector<std::string_view>& first_line) {
  const auto columns = static_cast<std::int64_t>(first_line.size());
  if (const auto* index = std::get_if<std::int64_t>(&options.label)) {
    if (*index < -columns || *index >= columns) {
      return Fail(Errc::kInvalid, path + ": data.label is " + std::to_string(*index) + ", but there are " +
                                      std::to_string(columns) + " columns (0 to " + std::to_string(columns - 1) + ")");
    }
    return static_cast<std::size_t>(*index < 0 ? *index + columns : *index);
  }
  const auto& name = std::get<std::string>(options.label);
  if (std::count(first_line.begin(), first_line.end(), name) > 1) {
    std::string numbers;
    for (std::size_t i = 0; i < first_line.size(); ++i) {
      if (first_line[i] == name) numbers += (numbers.empty() ? "" : ", ") + std::to_string(i);
    }
    return Fail(Errc::kInvalid, path + ": has several columns '" + name + "' (" + numbers +
                                    "), which data.label names; give the number of one of them");
  }
  std::string names;
  for (std::size_t i = 0; i < first_line.size(); ++i) {
    if (first_line[i] == name) return i;
    if (i < 20) names += (i > 0 ? ", " : "") + std::string(first_line[i]);
  }
  return Fail(Errc::kInvalid, path + ": has no column '" + name + "' for data.label; its columns are " + names);
}

// Checks the first line that is not blank, and returns the label's column.
Result<std::size_t> CheckFirstLine(const std::string& path, std::size_t line_number, const CsvOptions& options,
                                   std::string_view line, const std::vector<std::string_view>& fields) {
  if (fields.size() < 2) {
    return Fail(Errc::kInvalid,
                path + ": has one column only" +
                    (LineCure(line).empty() ? "; a label and at least one input are needed" : LineCure(line)));
  }
  const bool numbers = std::all_of(fields.begin(), fields.end(), [](std::string_view field) { return Number(field); });
  if (numbers && options.header && !options.header_chosen && std::holds_alternative<std::int64_t>(options.label)) {
    return Fail(Errc::kInvalid, path + ":" + std::to_string(line_number) + ": the first line has numbers (" +
                                    std::string(fields[0].substr(0, 20)) + ", " + std::string(fields[1].substr(0, 20)) +
                                    (fields.size() > 2 ? ", …" : "") +
                                    "), the columns' names are expected; set data.header to false if it is an example, "
                                    "or to true if these are the names");
  }
  return LabelColumn(path, options, fields);
}

std::string NoNumber(std::string_view field, std::string_view line, bool first_line, bool label) {
  if (first_line) return "; is it the columns' names? then set data.header to true";
  if (const std::string cure = LineCure(field); !cure.empty()) return LineCure(line);
  if (field.empty()) return "; fill in the value that is missing, or leave the line out";
  if (label) return "; the label of each class must be a number, from 0 on";
  return "";
}

// Checks that the bytes are text in UTF-8, and says what they are if not.
Status CheckText(const std::string& path, std::string_view bytes) {
  if (bytes.starts_with("\xff\xfe") || bytes.starts_with("\xfe\xff")) {
    return Fail(Errc::kInvalid, path + ": is UTF-16; save it as UTF-8 (iconv -f UTF-16 -t UTF-8)");
  }
  for (const auto& [start, what] :
       {std::pair{"PK\x03\x04", "a zip archive, as Excel's workbooks are; export the sheet as CSV"},
        std::pair{"PAR1", "a Parquet file; save it as CSV (pandas: to_csv(path, index=False))"},
        std::pair{"\x93NUMPY", "an NPY file; set data.format to npy"}}) {
    if (bytes.starts_with(start)) return Fail(Errc::kInvalid, path + ": is " + what);
  }
  const std::size_t zero = bytes.find('\0');
  const std::size_t good = std::min(ValidUtf8Prefix(bytes), zero);
  if (good >= bytes.size()) return {};
  const auto line = 1 + std::count(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(good), '\n');
  const std::string where = path + ":" + std::to_string(line) + ": ";
  if (good == zero) return Fail(Errc::kInvalid, where + "has a zero byte: it is no text, or text in UTF-16");
  return Fail(Errc::kInvalid, where + "is not UTF-8 (it has " + FirstBytes(std::string(bytes.substr(good, 4))) +
                                  "); save it as UTF-8 (of Latin-1: iconv -f LATIN1 -t UTF-8)");
}

}  // namespace

Result<CsvTable> ReadCsv(const std::string& path, const CsvOptions& options) {
  FURROW_ASSIGN(const std::string bytes, ReadDataFile(path));
  FURROW_TRY(CheckText(path, bytes));
  std::string_view rest = bytes;
  if (rest.starts_with("\xef\xbb\xbf")) rest.remove_prefix(3);  // byte order mark

  CsvTable table;
  std::vector<double> values;
  std::vector<std::string_view> fields;
  std::size_t columns = 0;
  bool comment_first = false;
  std::size_t label = 0;
  std::size_t line_number = 0;
  while (!rest.empty()) {
    const std::string_view line = NextLine(rest, line_number);
    if (Trim(line).empty()) continue;
    const std::string where = path + ":" + std::to_string(line_number) + ": ";
    if (!Split(line, fields)) return Fail(Errc::kInvalid, where + "a quote is not closed, or something follows it");
    const bool first_line = columns == 0;
    if (first_line) {
      columns = fields.size();
      comment_first = fields[0].starts_with('#');
      FURROW_ASSIGN(label, CheckFirstLine(path, line_number, options, line, fields));
      if (options.header) continue;
    }
    if (fields.size() != columns) {
      return Fail(Errc::kInvalid,
                  where + std::to_string(fields.size()) + " columns, the first line has " + std::to_string(columns) +
                      (comment_first ? "; is the first line a comment (#)? then take it out" : LineCure(line)));
    }
    for (std::size_t i = 0; i < columns; ++i) {
      const auto number = Number(fields[i]);
      if (!number) {
        return Fail(Errc::kInvalid, where + "column " + std::to_string(i) + " ('" +
                                        std::string(fields[i].substr(0, 40)) + "') is no finite number" +
                                        NoNumber(fields[i], line, first_line, i == label));
      }
      (i == label ? table.labels : values).push_back(*number);
    }
  }
  if (table.labels.empty()) return Fail(Errc::kInvalid, path + ": has no line of numbers");
  table.inputs.shape = {static_cast<std::int64_t>(table.labels.size()), static_cast<std::int64_t>(columns - 1)};
  table.inputs.values = std::move(values);
  return table;
}

}  // namespace furrow::steps
