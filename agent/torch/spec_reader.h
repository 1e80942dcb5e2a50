// Reads the keys of one JSON object by name and type, and records the first mistake.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "common/base/error.h"

namespace furrow::steps {

// Each reading method returns the key's value, or the default if the key is absent or a mistake. The caller calls
// Done() last, which returns the first mistake; a key that no method has read is a mistake, too. `object` must outlive
// the reader.
class SpecReader {
 public:
  // Reads `object`. Messages put `where` before every key: "train", "train.data".
  SpecReader(const nlohmann::json& object, std::string where);

  bool Has(std::string_view key);  // The key counts as read.
  std::string Text(std::string_view key, bool required = true);
  bool Bool(std::string_view key, bool otherwise);
  std::int64_t Int(std::string_view key, std::int64_t otherwise, std::int64_t least, std::int64_t most);
  // Reads a finite number ≥ `least`, or > `least` if `above`.
  double Number(std::string_view key, double otherwise, double least, bool above = false);
  // Reads one of `words` and returns its index. `otherwise` < 0: the key is required.
  int Word(std::string_view key, const std::vector<std::string>& words, int otherwise);
  // Reads one finite number or a list of finite numbers; empty: the key is absent.
  std::vector<double> Numbers(std::string_view key, bool positive);
  std::vector<std::int64_t> Ints(std::string_view key, std::size_t most, std::int64_t least);
  std::vector<std::string> Words(std::string_view key, const std::vector<std::string>& words);
  // Reads the mapping under `key`; an empty one if the key is missing or a mistake.
  const nlohmann::json& Object(std::string_view key);

  void Mistake(std::string_view key, const std::string& words);
  Status Done();

 private:
  const nlohmann::json* Find(std::string_view key, bool required);

  const nlohmann::json& object_;
  std::string where_;
  std::vector<std::string> asked_;
  std::string first_;  // first mistake; empty: none
};

}  // namespace furrow::steps
