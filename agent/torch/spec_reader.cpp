#include "agent/torch/spec_reader.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace furrow::steps {
namespace {

using nlohmann::json;

// Counts the single-character insertions, deletions and replacements between two words.
std::size_t Distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row[b.size()];
}

std::string Joined(const std::vector<std::string>& words) {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

// Returns a number as a person writes it, without a trailing ".0".
std::string Plain(double value) {
  std::string text = json(value).dump();
  if (text.ends_with(".0")) text.resize(text.size() - 2);
  return text;
}

// Returns a value as in the file, and cuts a long one.
std::string Shown(const json& value) {
  std::string text = value.dump(-1, ' ', false, json::error_handler_t::replace);
  if (text.size() > 40) text = text.substr(0, 37) + "…";
  return text;
}

bool FiniteNumber(const json& value) {
  return value.is_number() && std::isfinite(value.get<double>());
}

}  // namespace

SpecReader::SpecReader(const json& object, std::string where) : object_(object), where_(std::move(where)) {}

const json* SpecReader::Find(std::string_view key, bool required) {
  if (std::find(asked_.begin(), asked_.end(), key) == asked_.end()) asked_.emplace_back(key);
  const auto found = object_.find(key);
  if (found != object_.end() && !found->is_null()) return &*found;
  if (required) Mistake(key, "is missing");
  return nullptr;
}

void SpecReader::Mistake(std::string_view key, const std::string& words) {
  if (first_.empty()) first_ = where_ + "." + std::string(key) + " " + words;
}

bool SpecReader::Has(std::string_view key) {
  return Find(key, false) != nullptr;
}

std::string SpecReader::Text(std::string_view key, bool required) {
  const json* value = Find(key, required);
  if (value == nullptr) return {};
  if (value->is_string() && !value->get_ref<const std::string&>().empty()) return value->get<std::string>();
  Mistake(key, "is " + Shown(*value) + ", expected a text that is not empty");
  return {};
}

bool SpecReader::Bool(std::string_view key, bool otherwise) {
  const json* value = Find(key, false);
  if (value == nullptr) return otherwise;
  if (value->is_boolean()) return value->get<bool>();
  Mistake(key, "is " + Shown(*value) + ", expected true or false");
  return otherwise;
}

std::int64_t SpecReader::Int(std::string_view key, std::int64_t otherwise, std::int64_t least, std::int64_t most) {
  const json* value = Find(key, false);
  if (value == nullptr) return otherwise;
  const bool fits = value->is_number_integer() &&
                    !(value->is_number_unsigned() && value->get<std::uint64_t>() > static_cast<std::uint64_t>(most)) &&
                    value->get<std::int64_t>() >= least && value->get<std::int64_t>() <= most;
  if (fits) return value->get<std::int64_t>();
  Mistake(key, "is " + Shown(*value) + ", expected a whole number from " + std::to_string(least) + " to " +
                   std::to_string(most));
  return otherwise;
}

double SpecReader::Number(std::string_view key, double otherwise, double least, bool above) {
  const json* value = Find(key, false);
  if (value == nullptr) return otherwise;
  if (FiniteNumber(*value)) {
    const double number = value->get<double>();
    if (above ? number > least : number >= least) return number;
  }
  Mistake(key, "is " + Shown(*value) + ", expected a number " + (above ? "> " : "≥ ") + Plain(least));
  return otherwise;
}

int SpecReader::Word(std::string_view key, const std::vector<std::string>& words, int otherwise) {
  const json* value = Find(key, otherwise < 0);
  if (value == nullptr) return std::max(otherwise, 0);
  if (value->is_string()) {
    const auto found = std::find(words.begin(), words.end(), value->get_ref<const std::string&>());
    if (found != words.end()) return static_cast<int>(found - words.begin());
  }
  Mistake(key, "is " + Shown(*value) + ", expected one of " + Joined(words));
  return std::max(otherwise, 0);
}

std::vector<double> SpecReader::Numbers(std::string_view key, bool positive) {
  const json* value = Find(key, false);
  if (value == nullptr) return {};
  const json list = value->is_array() ? *value : json::array({*value});
  std::vector<double> numbers;
  for (const json& item : list) {
    if (FiniteNumber(item) && !(positive && item.get<double>() <= 0)) numbers.push_back(item.get<double>());
  }
  if (!list.empty() && numbers.size() == list.size()) return numbers;
  Mistake(key, "is " + Shown(*value) + ", expected a " + (positive ? "positive " : "") + "number or a list of them");
  return {};
}

std::vector<std::int64_t> SpecReader::Ints(std::string_view key, std::size_t most, std::int64_t least) {
  const json* value = Find(key, false);
  if (value == nullptr) return {};
  std::vector<std::int64_t> ints;
  if (value->is_array() && value->size() <= most) {
    for (const json& item : *value) {
      if (item.is_number_integer() && item.get<std::int64_t>() >= least) ints.push_back(item.get<std::int64_t>());
    }
  }
  if (value->is_array() && !value->empty() && ints.size() == value->size()) return ints;
  Mistake(key, "is " + Shown(*value) + ", expected a list of 1 to " + std::to_string(most) + " whole numbers ≥ " +
                   std::to_string(least));
  return {};
}

std::vector<std::string> SpecReader::Words(std::string_view key, const std::vector<std::string>& words) {
  const json* value = Find(key, false);
  if (value == nullptr) return {};
  std::vector<std::string> chosen;
  bool good = value->is_array() && !value->empty();
  for (std::size_t i = 0; good && i < value->size(); ++i) {
    const json& item = (*value)[i];
    good = item.is_string() && std::find(words.begin(), words.end(), item.get<std::string>()) != words.end() &&
           std::find(chosen.begin(), chosen.end(), item.get<std::string>()) == chosen.end();
    if (good) chosen.push_back(item.get<std::string>());
  }
  if (good) return chosen;
  Mistake(key, "is " + Shown(*value) + ", expected a list of " + Joined(words) + ", each at most once");
  return {};
}

const json& SpecReader::Object(std::string_view key) {
  static const json kEmpty = json::object();
  const json* value = Find(key, true);
  if (value == nullptr) return kEmpty;
  if (value->is_object()) return *value;
  Mistake(key, "is " + Shown(*value) + ", expected a mapping");
  return kEmpty;
}

Status SpecReader::Done() {
  for (const auto& item : object_.items()) {
    const std::string& key = item.key();
    if (std::find(asked_.begin(), asked_.end(), key) != asked_.end()) continue;
    const auto nearest = std::min_element(asked_.begin(), asked_.end(), [&](const auto& a, const auto& b) {
      return Distance(key, a) < Distance(key, b);
    });
    const bool near = nearest != asked_.end() && Distance(key, *nearest) <= std::max<std::size_t>(2, key.size() / 3);
    return Fail(Errc::kInvalid, where_ + ": unknown key '" + key + "'" +
                                    (near ? "; did you mean '" + *nearest + "'?" : "; known are " + Joined(asked_)));
  }
  if (!first_.empty()) return Fail(Errc::kInvalid, first_);
  return {};
}

}  // namespace furrow::steps
