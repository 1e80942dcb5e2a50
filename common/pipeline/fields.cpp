#include "common/pipeline/fields.h"

#include <algorithm>
#include <utility>

#include "common/pipeline/values.h"

namespace furrow::pipeline {

namespace {

using Kind = YamlNode::Kind;

// Turns 100000 into "100,000".
std::string Grouped(std::int64_t number) {
  std::string digits = std::to_string(number);
  const std::ptrdiff_t first = number < 0 ? 1 : 0;
  for (std::ptrdiff_t at = std::ssize(digits) - 3; at > first; at -= 3)
    digits.insert(static_cast<std::size_t>(at), ",");
  return digits;
}

bool IsBool(const std::string& text) {
  return text == "true" || text == "false";
}

// Returns whether the quotes around a text make a text of what is a number or a boolean without them.
bool LooksPlain(const YamlNode& node) {
  return !node.plain && (IsBool(node.text) || ParseNumber(node.text));
}

std::string Found(const YamlNode& node) {
  switch (node.kind) {
    case Kind::kNull: return "nothing";
    case Kind::kList: return node.items.empty() ? "an empty list" : "a list";
    case Kind::kMap: return node.entries.empty() ? "an empty mapping" : "a mapping";
    case Kind::kScalar: break;
  }
  if (node.text.empty()) return "an empty text";
  return Quoted(node.text) + (LooksPlain(node) ? " in quotes" : "") +
         (HasVariable(node.text) ? "; variables are read by `run` and `exec` steps only: write the value itself" : "");
}

// Returns what to write for a value that was meant as `true` or `false`; empty: that is not known.
std::string BoolCure(const YamlNode& node) {
  if (node.kind != Kind::kScalar) return "";
  if (!node.plain && IsBool(node.text)) return "; leave out the quotes";
  std::string lower;
  for (const char c : node.text) lower += c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
  for (const char* yes : {"true", "yes", "on", "y", "1"})
    if (lower == yes) return "; write true";
  for (const char* no : {"false", "no", "off", "n", "0"})
    if (lower == no) return "; write false";
  return "";
}

// Returns what to write for a scalar that is meant as a number; empty: that is not known.
std::string NumberCure(const YamlNode& node) {
  if (node.kind != Kind::kScalar || !ParseNumber(node.text)) return "";
  if (const auto better = WithoutZeros(node.text)) return "; write " + *better;
  return node.plain ? "" : "; leave out the quotes";
}

}  // namespace

void WrongNumber(const YamlNode& node, const std::string& what, std::string_view kind, Report& report) {
  WrongKind(node, what, kind, report, NumberCure(node));
}

void WrongKind(const YamlNode& node, const std::string& what, std::string_view kind, Report& report,
               std::string_view cure) {
  report.Add(node.position, what + " must be " + std::string(kind) + ", not " + Found(node) + std::string(cure));
}

std::optional<double> NumberOf(const YamlNode& node) {
  return node.kind == Kind::kScalar && node.plain && !WithoutZeros(node.text) ? ParseNumber(node.text) : std::nullopt;
}

std::optional<std::int64_t> IntegerOf(const YamlNode& node) {
  return node.kind == Kind::kScalar && node.plain && !WithoutZeros(node.text) ? ParseInteger(node.text) : std::nullopt;
}

Fields::Fields(const YamlNode& map, Scope scope, std::string where, Position position, Report& report)
    : map_(map), where_(std::move(where)), position_(position), report_(report) {
  if (map.kind != Kind::kMap) {
    WrongKind(map, where_, "a mapping of keys to values", report_);
    return;
  }
  const std::span<const Word> words = WordsOf(scope);
  entries_.reserve(map.entries.size());
  for (const YamlNode::Entry& entry : map.entries) {
    const std::string& key = entry.key->text;
    const auto word = std::find_if(words.begin(), words.end(), [&](const Word& known) { return known.text == key; });
    if (word == words.end()) {
      report_.Add(entry.key->position, report_.full() ? std::string() : UnknownKey(key, scope, where_));
    } else if (!word->ready) {
      report_.Add(entry.key->position, NotYet(key));
    } else if (entry.value->kind == Kind::kNull) {
      report_.Add(entry.key->position, Named(key) + " " + NoValue(key, scope));
    } else {
      entries_.push_back(entry);
    }
  }
}

const YamlNode* Fields::Find(std::string_view key) const {
  for (const YamlNode::Entry& entry : entries_) {
    if (entry.key->text == key) return entry.value;
  }
  return nullptr;
}

std::string Fields::Named(std::string_view key) const {
  return Quoted(key) + " in " + where_;
}

void Fields::Wrong(std::string_view key, const std::string& words) {
  const YamlNode* node = Find(key);
  report_.Add(node ? node->position : position_, Named(key) + " " + words);
}

void Fields::Require(std::string_view key, const std::string& example) {
  if (!is_map()) return;  // the constructor reported this already
  for (const YamlNode::Entry& entry : map_.entries) {
    // A typo of the key is reported already; a second report that the key is missing would say nothing new.
    if (entry.key->text == key || (!Find(entry.key->text) && NearestWord(entry.key->text, {key}))) return;
  }
  report_.Add(position_, where_ + " needs " + Quoted(key) + (example.empty() ? "" : ", such as " + example));
}

std::optional<std::string> Fields::Text(std::string_view key) {
  const YamlNode* node = Find(key);
  if (!node) return std::nullopt;
  if (node->kind == Kind::kScalar && !node->text.empty()) return node->text;
  WrongKind(*node, Named(key), "a text", report_);
  return std::nullopt;
}

std::optional<std::int64_t> Fields::Integer(std::string_view key, std::int64_t low, std::int64_t high) {
  const YamlNode* node = Find(key);
  if (!node) return std::nullopt;
  const auto value = IntegerOf(*node);
  if (value && *value >= low && *value <= high) return value;
  WrongNumber(*node, Named(key), "a whole number from " + Grouped(low) + " to " + Grouped(high), report_);
  return std::nullopt;
}

std::optional<double> Fields::Number(std::string_view key) {
  const YamlNode* node = Find(key);
  if (!node) return std::nullopt;
  const auto value = NumberOf(*node);
  if (!value) WrongNumber(*node, Named(key), "a number", report_);
  return value;
}

std::optional<bool> Fields::Bool(std::string_view key) {
  const YamlNode* node = Find(key);
  if (!node) return std::nullopt;
  if (node->kind == Kind::kScalar && node->plain) {
    if (node->text == "true") return true;
    if (node->text == "false") return false;
  }
  report_.Add(node->position, Named(key) + " must be `true` or `false`, not " + Found(*node) + BoolCure(*node));
  return std::nullopt;
}

std::optional<std::string> Fields::Choice(std::string_view key, const std::vector<std::string_view>& choices) {
  const YamlNode* node = Find(key);
  if (!node) return std::nullopt;
  if (node->kind == Kind::kScalar && std::find(choices.begin(), choices.end(), node->text) != choices.end()) {
    return node->text;
  }
  WrongKind(*node, Named(key), QuotedChoice(choices), report_);
  return std::nullopt;
}

std::vector<const YamlNode*> Fields::List(std::string_view key, std::string_view example) {
  const YamlNode* node = Find(key);
  if (!node) return {};
  if (node->kind != Kind::kList) {
    WrongKind(*node, Named(key), "a list such as " + std::string(example), report_);
    return {};
  }
  std::vector<const YamlNode*> items;
  items.reserve(node->items.size());
  for (const YamlNode* item : node->items) {
    if (item->kind == Kind::kNull) {
      report_.Add(item->position, "an item of " + Named(key) + " has no value; give it one, or remove it");
    } else {
      items.push_back(item);
    }
  }
  return items;
}

std::vector<const YamlNode*> Fields::TextList(std::string_view key, std::string_view example) {
  std::vector<const YamlNode*> items = List(key, example);
  std::erase_if(items, [&](const YamlNode* item) {
    const bool good = item->kind == Kind::kScalar && !item->text.empty();
    if (!good) WrongKind(*item, "an item of " + Named(key), "a text", report_);
    return !good;
  });
  return items;
}

}  // namespace furrow::pipeline
