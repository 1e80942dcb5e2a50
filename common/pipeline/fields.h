// Typed access to a mapping's keys that reports every mistake on the way. Internal to common_pipeline.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/pipeline/words.h"
#include "common/pipeline/yaml.h"

namespace furrow::pipeline {

// One mapping of a furrow.yaml. The constructor reports what is no mapping, unknown keys, keys
// without a value, and words that are not yet built; after that those keys are absent. Each getter
// returns nothing for an absent key, and reports and returns nothing for a value that is wrong.
// Refers to the node and the report, which must outlive it.
class Fields {
 public:
  // `where` names the mapping in messages ("job `test`"); `position` is where it is introduced.
  Fields(const YamlNode& map, Scope scope, std::string where, Position position, Report& report);

  bool Has(std::string_view key) const { return Find(key) != nullptr; }
  const YamlNode* Find(std::string_view key) const;

  std::optional<std::string> Text(std::string_view key);  // any scalar, not empty
  std::optional<std::int64_t> Integer(std::string_view key, std::int64_t low, std::int64_t high);
  std::optional<double> Number(std::string_view key);
  std::optional<bool> Bool(std::string_view key);
  std::optional<std::string> Choice(std::string_view key, const std::vector<std::string_view>& choices);

  // The items of a list; `example` shows a right one. Items without a value are reported, and left out.
  std::vector<const YamlNode*> List(std::string_view key, std::string_view example);
  // The same, of scalars that are not empty.
  std::vector<const YamlNode*> TextList(std::string_view key, std::string_view example);

  // Reports "`key` in where words" at the value of `key`, or at the mapping if it is absent.
  void Wrong(std::string_view key, const std::string& words);
  // Reports "where needs `key`" at the mapping, unless the key stands there, even with a wrong value.
  void Require(std::string_view key, const std::string& example);

  const std::string& where() const { return where_; }
  Position position() const { return position_; }
  bool is_map() const { return map_.kind == YamlNode::Kind::kMap; }
  Report& report() { return report_; }
  // "`key` in where"
  std::string Named(std::string_view key) const;

 private:
  const YamlNode& map_;
  std::string where_;
  Position position_;
  Report& report_;
  std::vector<YamlNode::Entry> entries_;  // those that may be used
};

// Reports at `node` that `what` must be `kind` ("a list such as [a]"), and what it is instead.
void WrongKind(const YamlNode& node, const std::string& what, std::string_view kind, Report& report);

// A number or boolean written in the file: a scalar without quotes.
std::optional<double> NumberOf(const YamlNode& node);
std::optional<std::int64_t> IntegerOf(const YamlNode& node);

}  // namespace furrow::pipeline
