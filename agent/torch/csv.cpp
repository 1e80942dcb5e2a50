#include "agent/torch/csv.h"

#include <charconv>
#include <cmath>
#include <optional>
#include <string_view>

#include "agent/torch/data_file.h"

namespace furrow::steps {
namespace {

std::string_view Trim(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r";
  const auto first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  text = text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"') text = text.substr(1, text.size() - 2);
  return text;
}

void Split(std::string_view line, std::vector<std::string_view>& fields) {
  fields.clear();
  for (;;) {
    const auto comma = line.find(',');
    fields.push_back(Trim(line.substr(0, comma)));
    if (comma == std::string_view::npos) return;
    line.remove_prefix(comma + 1);
  }
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
  if (columns < 2) {
    return Fail(Errc::kInvalid, path + ": has one column only; a label and at least one input are needed");
  }
  if (const auto* index = std::get_if<std::int64_t>(&options.label)) {
    if (*index < -columns || *index >= columns) {
      return Fail(Errc::kInvalid, path + ": data.label is " + std::to_string(*index) + ", but there are " +
                                      std::to_string(columns) + " columns (0 to " + std::to_string(columns - 1) + ")");
    }
    return static_cast<std::size_t>(*index < 0 ? *index + columns : *index);
  }
  const auto& name = std::get<std::string>(options.label);
  std::string names;
  for (std::size_t i = 0; i < first_line.size(); ++i) {
    if (first_line[i] == name) return i;
    if (i < 20) names += (i > 0 ? ", " : "") + std::string(first_line[i]);
  }
  return Fail(Errc::kInvalid, path + ": has no column '" + name + "' for data.label; its columns are " + names);
}

}  // namespace

Result<CsvTable> ReadCsv(const std::string& path, const CsvOptions& options) {
  FURROW_ASSIGN(const std::string bytes, ReadDataFile(path));
  std::string_view rest = bytes;
  if (rest.starts_with("\xef\xbb\xbf")) rest.remove_prefix(3);  // byte order mark

  CsvTable table;
  std::vector<float> values;
  std::vector<std::string_view> fields;
  std::size_t columns = 0;
  std::size_t label = 0;
  std::size_t line_number = 0;
  while (!rest.empty()) {
    const auto end = rest.find('\n');
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    ++line_number;
    if (Trim(line).empty()) continue;
    Split(line, fields);
    const std::string where = path + ":" + std::to_string(line_number) + ": ";
    if (columns == 0) {
      columns = fields.size();
      FURROW_ASSIGN(label, LabelColumn(path, options, fields));
      if (options.header) continue;
    }
    if (fields.size() != columns) {
      return Fail(Errc::kInvalid,
                  where + std::to_string(fields.size()) + " columns, the first line has " + std::to_string(columns));
    }
    for (std::size_t i = 0; i < columns; ++i) {
      const auto number = Number(fields[i]);
      if (!number) {
        const std::string cure = line_number == 1 ? "; is it the columns' names? then set data.header to true" : "";
        return Fail(Errc::kInvalid, where + "column " + std::to_string(i) + " ('" +
                                        std::string(fields[i].substr(0, 40)) + "') is no finite number" + cure);
      }
      if (i == label) {
        table.labels.push_back(*number);
      } else {
        values.push_back(static_cast<float>(*number));
      }
    }
  }
  if (table.labels.empty()) return Fail(Errc::kInvalid, path + ": has no line of numbers");
  table.inputs.shape = {static_cast<std::int64_t>(table.labels.size()), static_cast<std::int64_t>(columns - 1)};
  table.inputs.values = std::move(values);
  return table;
}

}  // namespace furrow::steps
