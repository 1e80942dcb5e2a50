// Reads YAML text as a tree of nodes that know their positions. In common_pipeline only yaml.cpp uses yaml-cpp.
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
    const YamlNode* key;  // always a scalar; a map has each text once
    const YamlNode* value;
  };

  Kind kind = Kind::kNull;
  bool plain = false;  // a scalar without quotes; only these are numbers and booleans
  Position position;
  std::string text;                    // a scalar's text: valid UTF-8 without NUL
  std::vector<const YamlNode*> items;  // a list's items
  std::vector<Entry> entries;          // a map's entries, in the file's order
  std::uint32_t weight = 1;            // what walking and copying the node takes: its nodes, and 16 bytes of text as
                                       // one more node; what an alias names counts each time
  std::uint32_t height = 1;            // the number of levels in the node
};

// Owns the nodes of one file. Aliases share nodes, so the tree's size grows with the text's length only.
struct YamlDocument {
  std::deque<YamlNode> nodes;
  const YamlNode* root = nullptr;  // null if the text could not be read
};

// A file holds at most so much, aliases expanded, which bounds the work of code that walks the tree.
inline constexpr std::uint32_t kMaxYamlWeight = 200'000;
inline constexpr std::uint32_t kMaxYamlDepth = 32;

// Reads one YAML document. A mistake that makes the text unreadable (syntax, bytes that are not UTF-8, too deep, too
// large, a second document) is reported and leaves `root` null; after a smaller one (duplicate keys, keys that are no
// words, tags) the rest is read. Never throws.
YamlDocument ReadYaml(std::string_view text, Report& report);

}  // namespace furrow::pipeline
