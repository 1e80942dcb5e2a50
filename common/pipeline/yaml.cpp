#include "common/pipeline/yaml.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <exception>
#include <map>
#include <sstream>
#include <unordered_map>
#include <utility>

#include "common/base/text.h"
#include "common/pipeline/text.h"

namespace furrow::pipeline {

namespace {

// yaml-cpp takes the end of the text for a closing quote. A comment behind the text reveals an open quote, because only
// an open quote swallows a comment.
constexpr std::string_view kSentinel = "#<furrow.yaml ends here>";

// A Stop is thrown through yaml-cpp once the text is known to be unusable; it never leaves ReadYaml.
struct Stop {
  Position position;
  std::string message;
};

class Source {
 public:
  explicit Source(std::string_view text) : text_(text), last_(PositionAt(text, text.size())) {
    for (std::size_t start = 0; start < text.size();) {
      const std::size_t word = text.find_first_not_of(' ', start);
      if (word != std::string_view::npos && text[word] == '\t') tabs_.emplace(start, word);
      const std::size_t newline = text.find('\n', start);
      start = newline == std::string_view::npos ? text.size() : newline + 1;
    }
  }

  Position PositionOf(const YAML::Mark& mark) {
    const auto byte = static_cast<std::size_t>(std::max(mark.pos, 0));
    const auto column = static_cast<std::size_t>(std::max(mark.column, 0));
    if (byte > text_.size() || column > byte) return last_;
    // Marks come almost in order, so the count goes on from the mark before; otherwise a long line costs its length
    // squared.
    const std::size_t start = byte - column;
    if (known_.start != start || known_.byte > byte) known_ = {start, start, 1};
    known_.column += ColumnAfter(text_.substr(known_.byte, byte - known_.byte)) - 1;
    known_.byte = byte;
    return {mark.line + 1, known_.column};
  }

  // Returns the first tab that indents one of the lines over which the plain scalar `value` at `mark` runs; null if
  // there is none. yaml-cpp reads such a line as a continuation, which no author means.
  const std::size_t* TabWithin(const YAML::Mark& mark, std::string_view value) const {
    if (tabs_.empty()) return nullptr;
    auto at = static_cast<std::size_t>(std::max(mark.pos, 0));
    for (const char c : value) {
      if (IsSpace(c)) continue;
      while (at < text_.size() && text_[at] != c) {
        if (text_[at++] != '\n') continue;
        if (const auto found = tabs_.find(at); found != tabs_.end()) return &found->second;
      }
      ++at;
    }
    return nullptr;
  }

  // Returns the tab that indents the line of `mark`; null if there is none.
  const std::size_t* TabBefore(const YAML::Mark& mark) const {
    const auto byte = static_cast<std::size_t>(std::max(mark.pos, 0));
    auto found = tabs_.upper_bound(byte);
    if (found == tabs_.begin()) return nullptr;
    --found;
    const std::string_view between = text_.substr(found->second, byte - std::min(byte, found->second));
    return between.find('\n') == std::string_view::npos ? &found->second : nullptr;
  }

  Position PositionAtOffset(std::size_t offset) const { return PositionAt(text_, offset); }

 private:
  static bool IsSpace(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

  struct Known {
    std::size_t start = 0;  // where the line starts
    std::size_t byte = 0;
    int column = 1;  // the column of `byte`
  };

  std::string_view text_;
  Known known_;
  Position last_;                            // the end of the text
  std::map<std::size_t, std::size_t> tabs_;  // maps the start of a line to its indenting tab
};

constexpr std::string_view kTabMessage = "a tab indents this line; YAML wants spaces";

class Builder : public YAML::EventHandler {
 public:
  Builder(Source& source, YamlDocument& document, Report& report)
      : source_(source), document_(document), report_(report) {}

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (documents_++ > 0) {
      throw Stop{source_.PositionOf(mark),
                 "a second YAML document begins here; a file holds one: check the indentation"};
    }
  }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override { Leaf(YamlNode::Kind::kNull, mark, anchor); }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    const Position position = source_.PositionOf(mark);
    if (found == anchors_.end() || found->second == nullptr)
      throw Stop{position, "this alias stands within its own anchor"};
    Attach(*found->second, position);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    const Position position = source_.PositionOf(mark);
    if (value.find(kSentinel) != std::string::npos) throw Stop{position, "the quote that opens here is never closed"};
    if (!furrow::IsName(value)) {
      report_.Add(position, "an escape in this text makes a character that cannot be used");
    }
    const bool plain = tag == "?" || tag.empty();
    if (plain) {
      if (const std::size_t* tab = source_.TabWithin(mark, value)) {
        throw Stop{source_.PositionAtOffset(*tab), std::string(kTabMessage)};
      }
    } else if (tag != "!" && tag != "tag:yaml.org,2002:str") {
      Tagged(position, tag);
    }
    YamlNode& node = Make(YamlNode::Kind::kScalar, position);
    node.plain = plain;
    node.text = value;
    node.weight += static_cast<std::uint32_t>(value.size() / 16);
    Finish(node, anchor);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Open(YamlNode::Kind::kList, mark, tag, "tag:yaml.org,2002:seq", anchor);
  }
  void OnSequenceEnd() override { Close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    Open(YamlNode::Kind::kMap, mark, tag, "tag:yaml.org,2002:map", anchor);
  }
  void OnMapEnd() override {
    CheckKeys(*open_.back().node);
    Close();
  }

 private:
  struct OpenNode {
    YamlNode* node;
    YAML::anchor_t anchor;
    const YamlNode* key;  // a map's key that waits for its value
  };

  YamlNode& Make(YamlNode::Kind kind, Position position) {
    YamlNode& node = document_.nodes.emplace_back();
    node.kind = kind;
    node.position = position;
    return node;
  }

  void Leaf(YamlNode::Kind kind, const YAML::Mark& mark, YAML::anchor_t anchor) {
    Finish(Make(kind, source_.PositionOf(mark)), anchor);
  }

  void Open(YamlNode::Kind kind, const YAML::Mark& mark, const std::string& tag, std::string_view own_tag,
            YAML::anchor_t anchor) {
    const Position position = source_.PositionOf(mark);
    if (!tag.empty() && tag != "?" && tag != "!" && tag != own_tag) Tagged(position, tag);
    if (open_.size() >= kMaxYamlDepth) throw Stop{position, TooDeep()};
    if (anchor != YAML::NullAnchor) anchors_[anchor] = nullptr;  // open: an alias to it would never end
    open_.push_back({&Make(kind, position), anchor, nullptr});
  }

  void Close() {
    const OpenNode closed = open_.back();
    open_.pop_back();
    total_ -= closed.node->weight - 1;  // the node's parts were counted as they came
    Finish(*closed.node, closed.anchor);
  }

  void Finish(YamlNode& node, YAML::anchor_t anchor) {
    if (anchor != YAML::NullAnchor) anchors_[anchor] = &node;
    Attach(node, node.position);
  }

  void Attach(const YamlNode& node, Position position) {
    total_ += node.weight;
    if (total_ > kMaxYamlWeight) {
      throw Stop{position, "the file holds too much, with all its aliases written out; make it smaller"};
    }
    if (open_.size() + node.height > kMaxYamlDepth) throw Stop{position, TooDeep()};
    if (open_.empty()) {
      document_.root = &node;
      return;
    }
    OpenNode& parent = open_.back();
    parent.node->weight += node.weight;
    parent.node->height = std::max(parent.node->height, node.height + 1);
    if (parent.node->kind == YamlNode::Kind::kList) {
      parent.node->items.push_back(&node);
    } else if (parent.key == nullptr) {
      parent.key = &node;
    } else {
      parent.node->entries.push_back({std::exchange(parent.key, nullptr), &node});
    }
  }

  // Keeps only entries whose key is a word and new in the map.
  void CheckKeys(YamlNode& map) {
    std::unordered_map<std::string_view, int> lines;
    std::erase_if(map.entries, [&](const YamlNode::Entry& entry) {
      const YamlNode& key = *entry.key;
      if (key.kind != YamlNode::Kind::kScalar) {
        report_.Add(key.position, "a key must be a word");
        return true;
      }
      if (key.text == "<<" && key.plain) {
        report_.Add(key.position, "merge keys (`<<`) are not read; write the keys out, or alias whole values");
        return true;
      }
      const auto [first, fresh] = lines.emplace(key.text, key.position.line);
      if (!fresh) {
        report_.Add(key.position, "duplicate key " + Quoted(key.text) + "; it stands on line " +
                                      std::to_string(first->second) + " already");
      }
      return !fresh;
    });
  }

  void Tagged(Position position, const std::string& tag) {
    report_.Add(position, "the YAML tag " + Quoted(tag) + " has no meaning here; remove it" +
                              (tag.starts_with("!") ? ", or quote a text that begins with `!`" : ""));
  }

  static std::string TooDeep() { return "nested too deeply: more than " + std::to_string(kMaxYamlDepth) + " levels"; }

  Source& source_;
  YamlDocument& document_;
  Report& report_;
  int documents_ = 0;
  std::uint64_t total_ = 0;  // the weight so far
  std::vector<OpenNode> open_;
  std::unordered_map<YAML::anchor_t, const YamlNode*> anchors_;  // null while the node is open
};

// Turns yaml-cpp's words into a message for a person.
std::string Explain(const std::string& words) {
  static const std::map<std::string_view, std::string_view> kCures = {
      {"illegal map value", "a `:` may not stand here; quote the text, or check the indentation"},
      {"illegal map key", "a key may not stand here; check the indentation"},
      {"illegal block entry", "a `-` may not stand here; check the indentation"},
      {"end of map not found", "this does not continue the mapping above it; check the indentation and the `:`"},
      {"end of sequence not found", "this does not continue the list above it; check the indentation and the `-`"},
      {"end of map flow not found", "a `{` is not closed before this"},
      {"end of sequence flow not found", "a `[` is not closed before this"},
      {"illegal flow end", "this bracket closes nothing"},
      {"unexpected character in block scalar", "a value that begins with `>` or `|` must be quoted"},
      {"the referenced anchor is not defined",
       "no anchor of this name stands before this alias; quote a text that begins with `*`"},
      {"alias not found after *", "quote a text that begins with `*`"},
      {"illegal character found while scanning alias", "quote a text that begins with `*`"},
      {"illegal character found while scanning anchor", "quote a text that begins with `&`"},
      {"illegal character found while scanning tag handle", "quote a text that begins with `!`"},
      {"tag handle with no suffix", "quote a text that begins with `!`"},
      {"unknown escape character",
       "a backslash in double quotes begins an escape, and there is none such; use single quotes"},
      {"bad character found while scanning hex number",
       "a backslash in double quotes begins an escape, and there is none such; use single quotes"},
      {"anchor not found after &", "quote a text that begins with `&`"},
      {"illegal EOF in scalar", "a quote is not closed before the end of the file"},
      {"unknown token", "no value can begin with this character; quote it"},
      {"illegal tab when looking for indentation", kTabMessage},
      {"bad file", "nested too deeply"},
  };
  // Newer versions name the anchor behind a colon.
  const auto cure = kCures.find(std::string_view(words).substr(0, words.find(": ")));
  return cure == kCures.end() ? "YAML syntax: " + words : std::string(cure->second);
}

}  // namespace

YamlDocument ReadYaml(std::string_view text, Report& report) {
  YamlDocument document;
  const std::size_t size = text.size();
  if (size > kMaxPipelineBytes) {
    report.Add({}, "the file is too large: " + std::to_string(size) + " bytes, at most " +
                       std::to_string(kMaxPipelineBytes) + " are read");
    return document;
  }
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  if (!CheckBytes(text, report)) return document;

  Source source(text);
  Builder builder(source, document, report);
  bool read = false;
  try {
    std::string closed(text);
    if (!text.ends_with('\n')) closed += '\n';
    closed.append(kSentinel).append("\n");
    std::istringstream stream(std::move(closed));
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {
    }
    read = true;
  } catch (const Stop& stop) {
    report.Add(stop.position, stop.message);
  } catch (const YAML::Exception& error) {
    const std::size_t* tab = source.TabBefore(error.mark);
    report.Add(tab ? source.PositionAtOffset(*tab) : source.PositionOf(error.mark),
               tab ? std::string(kTabMessage) : Explain(error.msg));
  } catch (const std::exception& error) {
    report.Add({}, std::string("the file cannot be read: ") + error.what());
  }
  if (!read) document.root = nullptr;
  return document;
}

}  // namespace furrow::pipeline
