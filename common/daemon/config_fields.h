// Reads the keys of a configuration file with their types. Every mistake is reported, and the default stays where a key
// is absent or wrong. This header is internal to common_config.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "common/pipeline/report.h"
#include "common/pipeline/yaml.h"

namespace furrow::config {

enum class Zero : std::uint8_t { kRefused, kAllowed };

// A Section reads one mapping of the file. Its getters define which keys exist, and Finish() reports the other keys.
// The node and the report must outlive the Section.
class Section {
 public:
  // Reads the whole file; `root` may be null (unreadable, reported already) or empty.
  Section(const pipeline::YamlNode* root, std::filesystem::path folder, pipeline::Report& report);
  // Returns the mapping under `key`; if there is none, every key in the Section is absent.
  Section Child(std::string_view key);

  void Text(std::string_view key, std::string& out);
  void TextList(std::string_view key, std::vector<std::string>& out);
  // Reads a path and makes it absolute: a relative path counts from the file's folder.
  void Path(std::string_view key, std::string& out);
  void Integer(std::string_view key, std::uint32_t& out, std::uint32_t low, std::uint32_t high);
  void Port(std::string_view key, std::uint16_t& out);
  // Reads 10s or 5m; with Zero::kAllowed also 0.
  void Duration(std::string_view key, std::chrono::milliseconds& out, Zero zero);
  // Reads 64MiB or 20GiB; with Zero::kAllowed also 0.
  void Size(std::string_view key, std::uint64_t& out, Zero zero);

  // Returns the value of `key` that no getter reads; null if it is absent. Makes the key known.
  const pipeline::YamlNode* Find(std::string_view key);
  // Returns whether the node is a single word or number, and reports it if not.
  bool IsScalar(std::string_view key, const pipeline::YamlNode& node, std::string_view kind);
  // Reports "`section.key` message" at the key's value, or at the section or file if the key is absent.
  void Wrong(std::string_view key, const std::string& message);
  // Returns whether `key` is there, which an older version knew and which means nothing any more.
  bool HasRetired(std::string_view key);
  // Reports every key that no getter asked for.
  void Finish();

  std::string Named(std::string_view key) const;  // returns "`section.key`"
  std::string Absolute(const std::string& path) const;

 private:
  const pipeline::YamlNode* node_;  // null: the mapping is absent
  std::string prefix_;              // "ports."
  std::filesystem::path folder_;
  pipeline::Report* report_;
  std::vector<std::string_view> retired_;
  std::vector<std::string_view> known_;  // the views refer to the callers' literals
};

}  // namespace furrow::config
