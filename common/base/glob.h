// A Glob is a pattern over paths or names of branches, ready to be matched. Everything that has patterns uses it:
// pushes, artifacts, the walk through a folder.
#pragma once

#include <bitset>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace furrow {

// `*` matches any bytes but `/`, `**` any bytes, `?` one character but `/`, `[a-z]` one of its characters and `[!a-z]`
// one other, never `/`. `**/` at the start of a part matches any number of folders, none included: **/a.py matches
// a.py. Every other byte matches itself, also a `[` that nothing closes.
class Glob {
 public:
  explicit Glob(std::string_view pattern);

  // States say how the pattern can match the text that was read so far; without any it cannot. All ways to match run
  // side by side, so the time is pattern × text for every pattern.
  using States = std::vector<std::uint32_t>;
  States Start() const;
  States Step(const States& states, char next) const;
  bool Accepts(const States& states) const { return !states.empty() && states.back() == End(); }

  // Returns the name that must follow up to the next `/` or the end; none: wildcards leave it open.
  std::optional<std::string> NextName(const States& states) const;

  // Returns bytes of which one leads on wherever any byte does: the literal ones, what a set has of ASCII, and `x` and
  // `/` for wildcards.
  std::string NextBytes(const States& states) const;

  // Returns whether the pattern never tells `a` from `b`.
  bool Alike(char a, char b) const;

 private:
  enum class Piece : std::uint8_t { kLiteral, kAnyOne, kClass, kStar, kDoubleStar, kFolders };
  struct Token {
    Piece piece;
    char literal = 0;
    std::uint32_t set = 0;  // of kClass: its index in sets_
  };
  struct Set {
    std::bitset<256> bytes;
    bool negated = false;
    bool Has(char c) const { return bytes[static_cast<unsigned char>(c)] != negated; }
  };

  // A state is a token's index × 4, and how many more bytes of a character or (for kFolders: 1) of a folder's name
  // belong to it.
  std::uint32_t End() const { return static_cast<std::uint32_t>(tokens_.size()) * 4; }
  bool ReadSet(std::string_view pattern, std::size_t& at);
  void Reach(States& states, std::size_t token) const;

  std::vector<Token> tokens_;
  std::vector<Set> sets_;
};

// Returns whether a pattern matches the whole of `text`.
bool GlobMatch(std::string_view pattern, std::string_view text);

// Returns the pattern that matches `text` alone.
std::string LiteralPattern(std::string_view text);

// Returns the length of the set such as `[a-z]` or `[!a-z]` at the start of `text`; 0: there is none, or nothing closes
// it.
std::size_t SetLength(std::string_view text);

// Returns whether a part of a pattern may match more than one text.
bool HasWildcard(std::string_view part);

}  // namespace furrow
