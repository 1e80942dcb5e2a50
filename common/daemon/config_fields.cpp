#include "common/daemon/config_fields.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "common/base/error.h"
#include "common/pipeline/fields.h"
#include "common/pipeline/values.h"
#include "common/pipeline/words.h"

namespace furrow::config {

using pipeline::Quoted;
using pipeline::YamlNode;
using Kind = YamlNode::Kind;

Section::Section(const YamlNode* root, std::filesystem::path folder, pipeline::Report& report)
    : node_(root), folder_(std::move(folder)), report_(&report) {
  if (node_ == nullptr || node_->kind == Kind::kMap) return;
  if (node_->kind != Kind::kNull) pipeline::WrongKind(*node_, "the file", "a mapping of keys to values", *report_);
  node_ = nullptr;
}

Section Section::Child(std::string_view key) {
  const YamlNode* node = Find(key);
  if (node != nullptr && node->kind != Kind::kMap) {
    pipeline::WrongKind(*node, Named(key), "a mapping of keys to values", *report_);
    node = nullptr;
  }
  Section child(node, folder_, *report_);
  child.prefix_ = prefix_ + std::string(key) + ".";
  return child;
}

std::string Section::Named(std::string_view key) const {
  return Quoted(prefix_ + std::string(key));
}

const YamlNode* Section::Find(std::string_view key) {
  if (std::find(known_.begin(), known_.end(), key) == known_.end()) known_.push_back(key);
  if (node_ == nullptr) return nullptr;
  for (const YamlNode::Entry& entry : node_->entries) {
    if (entry.key->text != key) continue;
    if (entry.value->kind != Kind::kNull) return entry.value;
    report_->Add(entry.key->position, Named(key) + " has no value; leave the key out for its default");
  }
  return nullptr;
}

bool Section::IsScalar(std::string_view key, const YamlNode& node, std::string_view kind) {
  if (node.kind == Kind::kScalar) return true;
  pipeline::WrongKind(node, Named(key), kind, *report_,
                      node.kind == Kind::kList ? "; a text that begins with `[` needs quotes" : "");
  return false;
}

void Section::Wrong(std::string_view key, const std::string& message) {
  const YamlNode* node = Find(key);
  const pipeline::Position position = node != nullptr    ? node->position
                                      : node_ != nullptr ? node_->position
                                                         : pipeline::Position{};
  report_->Add(position, Named(key) + " " + message);
}

void Section::Text(std::string_view key, std::string& out) {
  const YamlNode* node = Find(key);
  if (node == nullptr || !IsScalar(key, *node, "text")) return;
  out = node->text;
}

void Section::TextList(std::string_view key, std::vector<std::string>& out) {
  const YamlNode* node = Find(key);
  if (node == nullptr) return;
  if (node->kind != Kind::kList) return pipeline::WrongKind(*node, Named(key), "a list such as [a, b]", *report_);
  out.clear();
  for (const YamlNode* item : node->items) {
    if (item->kind == Kind::kScalar && !item->text.empty()) {
      out.push_back(item->text);
    } else {
      pipeline::WrongKind(*item, "an item of " + Named(key), "text", *report_);
    }
  }
}

std::string Section::Absolute(const std::string& path) const {
  return (folder_ / path).lexically_normal().string();
}

void Section::Path(std::string_view key, std::string& out) {
  const YamlNode* node = Find(key);
  if (node == nullptr || !IsScalar(key, *node, "a path")) return;
  if (node->text.empty()) {
    out.clear();
  } else if (node->text.starts_with('~')) {
    Wrong(key, "begins with ~, which only a shell understands; write the whole path");
  } else {
    out = Absolute(node->text);
  }
}

void Section::Integer(std::string_view key, std::uint32_t& out, std::uint32_t low, std::uint32_t high) {
  const YamlNode* node = Find(key);
  if (node == nullptr) return;
  const auto number = pipeline::IntegerOf(*node);
  if (number && *number >= low && *number <= high) {
    out = static_cast<std::uint32_t>(*number);
  } else {
    pipeline::WrongNumber(*node, Named(key), "a number from " + std::to_string(low) + " to " + std::to_string(high),
                          *report_);
  }
}

void Section::Port(std::string_view key, std::uint16_t& out) {
  std::uint32_t port = out;
  Integer(key, port, 0, std::numeric_limits<std::uint16_t>::max());
  out = static_cast<std::uint16_t>(port);
}

void Section::Duration(std::string_view key, std::chrono::milliseconds& out, Zero zero) {
  const YamlNode* node = Find(key);
  if (node == nullptr || !IsScalar(key, *node, "a duration such as 90s or 5m")) return;
  if (zero == Zero::kAllowed && node->text == "0") {
    out = std::chrono::milliseconds(0);
  } else if (const auto duration = pipeline::ParseDuration(node->text)) {
    out = *duration;
  } else {
    Wrong(key, duration.error().message);
  }
}

void Section::Size(std::string_view key, std::uint64_t& out, Zero zero) {
  const YamlNode* node = Find(key);
  if (node == nullptr || !IsScalar(key, *node, "a size such as 64MiB or 16GiB")) return;
  if (zero == Zero::kAllowed && node->text == "0") {
    out = 0;
  } else if (const auto size = pipeline::ParseSize(node->text)) {
    out = *size;
  } else {
    Wrong(key, size.error().message);
  }
}

bool Section::HasRetired(std::string_view key) {
  retired_.push_back(key);
  return node_ != nullptr && std::any_of(node_->entries.begin(), node_->entries.end(),
                                         [&](const YamlNode::Entry& entry) { return entry.key->text == key; });
}

void Section::Finish() {
  if (node_ == nullptr) return;
  for (const YamlNode::Entry& entry : node_->entries) {
    const std::string& key = entry.key->text;
    if (std::find(known_.begin(), known_.end(), key) != known_.end()) continue;
    if (std::find(retired_.begin(), retired_.end(), key) != retired_.end()) continue;
    std::string message = "unknown key " + Named(key);
    if (const auto nearest = pipeline::NearestWord(key, known_)) {
      message += "; did you mean " + Named(*nearest) + "?";
    } else {
      message += "; the keys here are " + pipeline::QuotedChoice(known_);
    }
    report_->Add(entry.key->position, std::move(message));
  }
}

}  // namespace furrow::config
