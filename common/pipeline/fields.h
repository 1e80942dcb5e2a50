// Reads a mapping's keys with their types and reports every mistake. This header is internal to common_pipeline.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/pipeline/words.h"
#include "common/pipeline/yaml.h"

namespace furrow::pipeline {

// A Fields reads one mapping of a furrow.yaml. The constructor reports a node that is no mapping, unknown keys, keys
// without a value, and words that are not yet built; those keys are absent afterwards. A getter returns nothing for an
// absent key, and reports and returns nothing for a wrong value. The node and the report must outlive the Fields.
class Fields {
 public:
  // `where` names the mapping in messages ("job `test`"); `position` is where the mapping is introduced.
  Fields(const YamlNode& map, Scope scope, std::string where, Position position, Report& report);

  bool Has(std::string_view key) const { return Find(key) != nullptr; }
  const YamlNode* Find(std::string_view key) const;

  std::optional<std::string> Text(std::string_view key);  // reads any scalar that is not empty
  std::optional<std::int64_t> Integer(std::string_view key, std::int64_t low, std::int64_t high);
  std::optional<double> Number(std::string_view key);
  std::optional<bool> Bool(std::string_view key);
  std::optional<std::string> Choice(std::string_view key, const std::vector<std::string_view>& choices);

  // Returns the items of a list; messages show `example` as a right list. Items without a value are reported and left
  // out.
  std::vector<const YamlNode*> List(std::string_view key, std::string_view example);
  // Returns the items that are scalars and not empty; other items are reported and left out.
  std::vector<const YamlNode*> TextList(std::string_view key, std::string_view example);

  // Reports "`key` in where words" at the value of `key`, or at the mapping if the key is absent.
  void Wrong(std::string_view key, const std::string& words);
  // Reports "where needs `key`" at the mapping, unless the mapping has the key, even with a wrong value.
  void Require(std::string_view key, const std::string& example);

  const std::string& where() const { return where_; }
  Position position() const { return position_; }
  bool is_map() const { return map_.kind == YamlNode::Kind::kMap; }
  Report& report() { return report_; }
  // Returns "`key` in where".
  std::string Named(std::string_view key) const;

 private:
  const YamlNode& map_;
  std::string where_;
  Position position_;
  Report& report_;
  std::vector<YamlNode::Entry> entries_;  // the entries that may be used
};

// Reports at `node` that `what` must be `kind` ("a list such as [a]"), what the node is instead, and `cure` ("; write
// x").
void WrongKind(const YamlNode& node, const std::string& what, std::string_view kind, Report& report,
               std::string_view cure = "");

// The same where `kind` is a number; says what to write for one in quotes or with zeros in front.
void WrongNumber(const YamlNode& node, const std::string& what, std::string_view kind, Report& report);

// Returns the number that a scalar without quotes holds; none if `node` holds none, or one with zeros in front.
std::optional<double> NumberOf(const YamlNode& node);
std::optional<std::int64_t> IntegerOf(const YamlNode& node);

}  // namespace furrow::pipeline
