// Takes the keys of one JSON object out by name and type, and remembers the first mistake.
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

// Each reading method returns the key's value, or the default where the key is absent; after a
// mistake it returns the default and error() has the words. Done() must be asked last: a key that
// no method asked for is a mistake. Refers to `object`, which must outlive it.
class SpecReader {
 public:
  // `where` stands before every key in messages: "train", "train.data".
  SpecReader(const nlohmann::json& object, std::string where);

  bool Has(std::string_view key);  // counts as asked for
  std::string Text(std::string_view key, bool required = true);
  bool Bool(std::string_view key, bool otherwise);
  std::int64_t Int(std::string_view key, std::int64_t otherwise, std::int64_t least, std::int64_t most);
  // A finite number ≥ `least`, or > `least` if `above`.
  double Number(std::string_view key, double otherwise, double least, bool above = false);
  // One of `words`; the index of the one that is there. `otherwise` < 0: required.
  int Word(std::string_view key, const std::vector<std::string>& words, int otherwise);
  // One finite number or a list of them; empty where the key is absent.
  std::vector<double> Numbers(std::string_view key, bool positive);
  std::vector<std::int64_t> Ints(std::string_view key, std::size_t most, std::int64_t least);
  std::vector<std::string> Words(std::string_view key, const std::vector<std::string>& words);
  // The mapping under `key`; an empty one after a mistake or where it is missing.
  const nlohmann::json& Object(std::string_view key);

  void Mistake(std::string_view key, const std::string& words);
  Status Done();

 private:
  const nlohmann::json* Find(std::string_view key, bool required);

  const nlohmann::json& object_;
  std::string where_;
  std::vector<std::string> asked_;
  std::string first_;  // the first mistake; empty: none
};

}  // namespace furrow::steps
