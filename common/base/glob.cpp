#include "common/base/glob.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

namespace furrow {
namespace {

using ByteTest = int (*)(int);
// The classes of POSIX, for the characters of ASCII.
constexpr std::array<std::pair<std::string_view, ByteTest>, 8> kClasses = {{{"[:alnum:]", ::isalnum},
                                                                            {"[:alpha:]", ::isalpha},
                                                                            {"[:digit:]", ::isdigit},
                                                                            {"[:lower:]", ::islower},
                                                                            {"[:punct:]", ::ispunct},
                                                                            {"[:space:]", ::isspace},
                                                                            {"[:upper:]", ::isupper},
                                                                            {"[:xdigit:]", ::isxdigit}}};

const std::pair<std::string_view, ByteTest>* ClassAt(std::string_view text) {
  const auto found =
      std::find_if(kClasses.begin(), kClasses.end(), [&](const auto& known) { return text.starts_with(known.first); });
  return found == kClasses.end() ? nullptr : &*found;
}

// Returns how many bytes follow the first byte of a character of UTF-8. A byte that begins none stands for itself.
std::uint32_t BytesAfter(char first) {
  const auto byte = static_cast<unsigned char>(first);
  return byte >= 0xF0 && byte < 0xF8 ? 3 : byte >= 0xE0 && byte < 0xF0 ? 2 : byte >= 0xC0 && byte < 0xE0 ? 1 : 0;
}

}  // namespace

std::size_t SetLength(std::string_view text) {
  if (!text.starts_with('[')) return 0;
  std::size_t at = 1;
  if (at < text.size() && (text[at] == '!' || text[at] == '^')) ++at;
  for (const std::size_t first = at; at < text.size();) {
    if (text[at] == '/') return 0;
    if (text[at] == ']' && at > first) return at + 1;
    const auto* known = ClassAt(text.substr(at));
    at += known != nullptr ? known->first.size() : 1;
  }
  return 0;
}

std::string LiteralPattern(std::string_view text) {
  std::string pattern;
  for (const char c : text) {
    if (c == '*' || c == '?' || c == '[')
      pattern += {'[', c, ']'};
    else
      pattern += c;
  }
  return pattern;
}

bool HasWildcard(std::string_view part) {
  for (std::size_t i = 0; i < part.size(); ++i)
    if (part[i] == '*' || part[i] == '?' || SetLength(part.substr(i)) > 0) return true;
  return false;
}

bool Glob::ReadSet(std::string_view pattern, std::size_t& at) {
  const std::size_t length = SetLength(pattern.substr(at));
  if (length == 0) return false;
  std::string_view inside = pattern.substr(at + 1, length - 2);
  at += length - 1;
  Set set;
  set.negated = inside.starts_with('!') || inside.starts_with('^');
  if (set.negated) inside.remove_prefix(1);
  while (!inside.empty()) {
    if (const auto* known = ClassAt(inside)) {
      for (int c = 0; c < 128; ++c)
        if (known->second(c) != 0) set.bytes.set(static_cast<std::size_t>(c));
      inside.remove_prefix(known->first.size());
      continue;
    }
    const bool range = inside.size() > 2 && inside[1] == '-';
    const auto first = static_cast<unsigned char>(inside[0]);
    const auto last = static_cast<unsigned char>(range ? inside[2] : inside[0]);
    for (unsigned c = first; c <= last; ++c) set.bytes.set(c);
    inside.remove_prefix(range ? 3 : 1);
  }
  set.bytes.set('/', set.negated);
  tokens_.push_back({Piece::kClass, 0, static_cast<std::uint32_t>(sets_.size())});
  sets_.push_back(set);
  return true;
}

Glob::Glob(std::string_view pattern) {
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] == '?') {
      tokens_.push_back({Piece::kAnyOne});
    } else if (pattern[i] == '[' && ReadSet(pattern, i)) {
      continue;
    } else if (pattern[i] != '*') {
      tokens_.push_back({Piece::kLiteral, pattern[i]});
    } else if (i + 1 == pattern.size() || pattern[i + 1] != '*') {
      tokens_.push_back({Piece::kStar});
    } else {
      const bool part_starts = i == 0 || pattern[i - 1] == '/';
      while (i + 1 < pattern.size() && pattern[i + 1] == '*') ++i;
      const bool folders = part_starts && i + 1 < pattern.size() && pattern[i + 1] == '/';
      if (folders) ++i;
      tokens_.push_back({folders ? Piece::kFolders : Piece::kDoubleStar});
    }
  }
}

// Adds the state before `token`, and those behind it that need no byte.
void Glob::Reach(States& states, std::size_t token) const {
  for (;; ++token) {
    states.push_back(static_cast<std::uint32_t>(token) * 4);
    if (token == tokens_.size()) return;
    const Piece piece = tokens_[token].piece;
    if (piece != Piece::kStar && piece != Piece::kDoubleStar && piece != Piece::kFolders) return;
  }
}

Glob::States Glob::Start() const {
  States states;
  Reach(states, 0);
  return states;
}

Glob::States Glob::Step(const States& states, char next) const {
  States after;
  for (const std::uint32_t state : states) {
    const std::size_t at = state / 4;
    const std::uint32_t left = state % 4;
    if (at == tokens_.size()) continue;
    const Token& token = tokens_[at];
    const auto character = [&](bool matches) {
      if (left == 1) return Reach(after, at + 1);
      if (left > 1) return after.push_back(state - 1);
      if (!matches) return;
      const std::uint32_t more = BytesAfter(next);
      if (more == 0) return Reach(after, at + 1);
      after.push_back(state + more);
    };
    switch (token.piece) {
      case Piece::kLiteral:
        if (next == token.literal) Reach(after, at + 1);
        break;
      case Piece::kAnyOne: character(next != '/'); break;
      case Piece::kClass: character(sets_[token.set].Has(next)); break;
      case Piece::kStar:
        if (next != '/') Reach(after, at);
        break;
      case Piece::kDoubleStar: Reach(after, at); break;
      case Piece::kFolders:
        if (next == '/')
          Reach(after, at);
        else
          after.push_back(static_cast<std::uint32_t>(at) * 4 + 1);
        break;
    }
  }
  std::sort(after.begin(), after.end());
  after.erase(std::unique(after.begin(), after.end()), after.end());
  return after;
}

std::optional<std::string> Glob::NextName(const States& states) const {
  if (states.size() != 1 || states[0] % 4 != 0) return std::nullopt;
  std::string name;
  for (std::size_t at = states[0] / 4; at < tokens_.size(); ++at) {
    if (tokens_[at].piece != Piece::kLiteral) return std::nullopt;
    if (tokens_[at].literal == '/') break;
    name += tokens_[at].literal;
  }
  return name;
}

std::string Glob::NextBytes(const States& states) const {
  std::string bytes;
  for (const std::uint32_t state : states) {
    if (state == End()) continue;
    const Token& token = tokens_[state / 4];
    if (token.piece == Piece::kLiteral) bytes += token.literal;
    if (token.piece == Piece::kAnyOne || token.piece == Piece::kStar) bytes += 'x';
    if (token.piece == Piece::kDoubleStar || token.piece == Piece::kFolders) bytes += "x/";
    if (token.piece != Piece::kClass) continue;
    for (char c = ' '; c < 0x7F; ++c)
      if (sets_[token.set].Has(c)) bytes += c;
  }
  return bytes;
}

bool Glob::Alike(char a, char b) const {
  return std::all_of(tokens_.begin(), tokens_.end(), [&](const Token& token) {
    switch (token.piece) {
      case Piece::kLiteral: return (a == token.literal) == (b == token.literal);
      case Piece::kClass: return sets_[token.set].Has(a) == sets_[token.set].Has(b);
      default: return (a == '/') == (b == '/');
    }
  });
}

bool GlobMatch(std::string_view pattern, std::string_view text) {
  const Glob glob(pattern);
  Glob::States states = glob.Start();
  for (const char c : text) {
    if (states.empty()) return false;
    states = glob.Step(states, c);
  }
  return glob.Accepts(states);
}

}  // namespace furrow
