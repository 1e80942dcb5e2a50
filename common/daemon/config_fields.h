// Typed access to the keys of a configuration file. Reports every mistake on the way and leaves the
// default where a key is absent or wrong. Internal to common_config.
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

// One mapping of the file. The getters called on it say which keys there are, Finish() reports the
// others. Refers to the node and the report, which must outlive it.
class Section {
 public:
  // The whole file; `root` may be null (unreadable, reported already) or empty.
  Section(const pipeline::YamlNode* root, std::filesystem::path folder, pipeline::Report& report);
  // The mapping under `key`; where that is absent, every key in it is.
  Section Child(std::string_view key);

  void Text(std::string_view key, std::string& out);
  void TextList(std::string_view key, std::vector<std::string>& out);
  // A path, made absolute: a relative one counts from the file's folder.
  void Path(std::string_view key, std::string& out);
  void Integer(std::string_view key, std::uint32_t& out, std::uint32_t low, std::uint32_t high);
  void Port(std::string_view key, std::uint16_t& out);
  // 10s, 5m; with Zero::kAllowed also 0.
  void Duration(std::string_view key, std::chrono::milliseconds& out, Zero zero);
  // 64MiB, 20GiB; with Zero::kAllowed also 0.
  void Size(std::string_view key, std::uint64_t& out, Zero zero);

  // The value of `key`, null if absent, for what no getter reads. Makes the key known.
  const pipeline::YamlNode* Find(std::string_view key);
  // Whether it is a single word or number; reports if not.
  bool IsScalar(std::string_view key, const pipeline::YamlNode& node, std::string_view kind);
  // Reports "`section.key` words" at the key's value, or at the section or file where it is absent.
  void Wrong(std::string_view key, const std::string& message);
  // Reports every key that was not asked for.
  void Finish();

  std::string Named(std::string_view key) const;  // "`section.key`"
  std::string Absolute(const std::string& path) const;

 private:
  const pipeline::YamlNode* node_;  // null: absent
  std::string prefix_;              // "ports."
  std::filesystem::path folder_;
  pipeline::Report* report_;
  std::vector<std::string_view> known_;  // refers to the callers' literals
};

}  // namespace furrow::config
