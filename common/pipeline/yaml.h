// YAML text as a tree of nodes that know their positions. The only user of yaml-cpp in common_pipeline.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "common/pipeline/report.h"

namespace furrow::pipeline {

struct YamlNode {
  enum class Kind : std::uint8_t { kNull, kScalar, kList, kMap };
  struct Entry {
    const YamlNode* key;  // always a scalar; each text once in a map
    const YamlNode* value;
  };

  Kind kind = Kind::kNull;
  bool plain = false;  // a scalar without quotes: only these are numbers and booleans
  Position position;
  std::string text;                    // of a scalar: valid UTF-8 without NUL
  std::vector<const YamlNode*> items;  // of a list
  std::vector<Entry> entries;          // of a map, in the file's order
  std::uint32_t weight = 1;            // what it takes to walk and copy it: nodes, and 16 bytes of text as
                                       // one more; what is behind an alias counts each time
  std::uint32_t height = 1;            // levels in it
};

// Owns the nodes of one file. Aliases share nodes, so the tree costs what the text is long.
struct YamlDocument {
  std::deque<YamlNode> nodes;
  const YamlNode* root = nullptr;  // null if the text could not be read
};

// How much a file may hold, aliases expanded: whoever walks the tree is bounded by these.
inline constexpr std::uint32_t kMaxYamlWeight = 200'000;
inline constexpr std::uint32_t kMaxYamlDepth = 32;

// Reads one YAML document. What makes the text unreadable (syntax, bytes that are not UTF-8, too
// deep, too large, a second document) is reported and leaves `root` null; smaller mistakes
// (duplicate keys, keys that are no words, tags) are reported and the rest is read. Never throws.
YamlDocument ReadYaml(std::string_view text, Report& report);

}  // namespace furrow::pipeline
