#include "common/base/text.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <iterator>

namespace furrow {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

bool IsContinuation(char c) {
  return (static_cast<unsigned char>(c) & 0xC0) == 0x80;
}

// Returns the code point of a well-formed character.
char32_t CodePoint(std::string_view character) {
  constexpr unsigned char kFirstBits[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
  char32_t point = static_cast<unsigned char>(character[0]) & kFirstBits[character.size()];
  for (const char c : character.substr(1)) point = point << 6 | (static_cast<unsigned char>(c) & 0x3F);
  return point;
}

// Returns whether the character acts on a terminal or on the text beside it, or has no width: Unicode's categories Cc,
// Cf, Zl and Zp, the fillers that look like nothing, and the selectors and tags in which text can hide. The selectors
// U+FE00 to U+FE0F pass, because emoji need them.
bool IsUnseen(char32_t point) {
  struct Range {
    char32_t first, last;
  };
  constexpr Range kUnseen[] = {{0x00, 0x1F},       {0x7F, 0x9F},       {0xAD, 0xAD},       {0x34F, 0x34F},
                               {0x600, 0x605},     {0x61C, 0x61C},     {0x6DD, 0x6DD},     {0x70F, 0x70F},
                               {0x890, 0x891},     {0x8E2, 0x8E2},     {0x115F, 0x1160},   {0x17B4, 0x17B5},
                               {0x180B, 0x180F},   {0x200B, 0x200F},   {0x2028, 0x202E},   {0x2060, 0x206F},
                               {0x3164, 0x3164},   {0xFEFF, 0xFEFF},   {0xFFA0, 0xFFA0},   {0xFFF0, 0xFFFB},
                               {0x110BD, 0x110BD}, {0x110CD, 0x110CD}, {0x13430, 0x1343F}, {0x1BCA0, 0x1BCA3},
                               {0x1D173, 0x1D17A}, {0xE0000, 0xE0FFF}};
  const auto range = std::upper_bound(std::begin(kUnseen), std::end(kUnseen), point,
                                      [](char32_t one, const Range& other) { return one < other.first; });
  return range != std::begin(kUnseen) && point <= std::prev(range)->last;
}

// Returns whether the character looks like a space and is none: Unicode's category Zs beside U+0020, and the empty cell
// of Braille.
bool IsForeignBlank(char32_t point) {
  return point == 0xA0 || point == 0x1680 || (point >= 0x2000 && point <= 0x200A) || point == 0x202F ||
         point == 0x205F || point == 0x2800 || point == 0x3000;
}

std::string WithoutUnseen(std::string_view text, bool lines) {
  std::string plain;
  plain.reserve(text.size());
  while (!text.empty()) {
    const std::size_t size = Utf8CharacterSize(text);
    const bool kept = lines && (text[0] == '\n' || text[0] == '\t');
    if (size == 0 || (!kept && IsUnseen(CodePoint(text.substr(0, size)))))
      plain += '?';
    else
      plain += text.substr(0, size);
    text.remove_prefix(std::max<std::size_t>(size, 1));
  }
  return plain;
}

// Appends "\\u202e", in two halves beyond U+FFFF.
void AppendEscape(std::string& out, char32_t point) {
  constexpr char kDigits[] = "0123456789abcdef";
  const auto unit = [&](char32_t value) {
    out += "\\u";
    for (int shift = 12; shift >= 0; shift -= 4) out += kDigits[value >> shift & 0xF];
  };
  if (point > 0xFFFF) {
    unit(0xD800 + ((point - 0x10000) >> 10));
    unit(0xDC00 + ((point - 0x10000) & 0x3FF));
  } else {
    unit(point);
  }
}

}  // namespace

// Implements table 3-7 of the Unicode standard.
std::size_t Utf8CharacterSize(std::string_view text) {
  if (text.empty()) return 0;
  const auto byte = [&](std::size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : static_cast<unsigned char>(0);
  };
  const auto between = [&](std::size_t i, unsigned low, unsigned high) { return byte(i) >= low && byte(i) <= high; };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  if (first < 0xC2) return 0;
  if (first < 0xE0) return between(1, 0x80, 0xBF) ? 2 : 0;
  if (first < 0xF0) {
    const unsigned low = first == 0xE0 ? 0xA0 : 0x80;
    const unsigned high = first == 0xED ? 0x9F : 0xBF;
    return between(1, low, high) && between(2, 0x80, 0xBF) ? 3 : 0;
  }
  if (first > 0xF4) return 0;
  const unsigned low = first == 0xF0 ? 0x90 : 0x80;
  const unsigned high = first == 0xF4 ? 0x8F : 0xBF;
  return between(1, low, high) && between(2, 0x80, 0xBF) && between(3, 0x80, 0xBF) ? 4 : 0;
}

std::size_t ValidUtf8Prefix(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size()) {
    std::uint64_t eight = 0;
    while (at + sizeof(eight) <= text.size()) {  // most text is ASCII
      std::memcpy(&eight, text.data() + at, sizeof(eight));
      if ((eight & 0x8080808080808080ULL) != 0) break;
      at += sizeof(eight);
    }
    if (at == text.size()) break;
    const std::size_t size = Utf8CharacterSize(text.substr(at));
    if (size == 0) return at;
    at += size;
  }
  return at;
}

bool IsName(std::string_view text) {
  // This loop passes ASCII without NUL, which most names are: no byte has its high bit set, nor gets it by losing one.
  std::size_t at = 0;
  std::uint64_t eight = 0;
  for (; at + sizeof(eight) <= text.size(); at += sizeof(eight)) {
    std::memcpy(&eight, text.data() + at, sizeof(eight));
    if (((eight | (eight - 0x0101010101010101ULL)) & 0x8080808080808080ULL) != 0) break;
  }
  while (at < text.size() && static_cast<signed char>(text[at]) > 0) ++at;
  if (at == text.size()) return true;
  return ValidUtf8Prefix(text) == text.size() && text.find('\0') == text.npos;
}

std::string RepairedUtf8(std::string_view text) {
  std::string repaired;
  while (!text.empty()) {
    const std::string_view good = text.substr(0, ValidUtf8Prefix(text));
    for (const char c : good) c == '\0' ? repaired += kReplacement : repaired += c;
    text.remove_prefix(good.size());
    if (text.empty()) break;
    repaired += kReplacement;
    text.remove_prefix(1);
  }
  return repaired;
}

std::string_view ClippedUtf8(std::string_view text, std::size_t max) {
  if (text.size() <= max) return text;
  std::size_t end = max;
  while (end > 0 && IsContinuation(text[end])) --end;  // goes back to the character's first byte
  return text.substr(0, end);
}

std::string Plain(std::string_view text) {
  return WithoutUnseen(text, /*lines=*/false);
}

std::string PlainLines(std::string_view text) {
  return WithoutUnseen(text, /*lines=*/true);
}

std::string_view FirstHidden(std::string_view text) {
  while (!text.empty()) {
    const std::size_t size = Utf8CharacterSize(text);
    const std::string_view character = text.substr(0, std::max<std::size_t>(size, 1));
    if (size == 0) return character;
    const char32_t point = CodePoint(character);
    if (IsUnseen(point) || IsForeignBlank(point)) return character;
    text.remove_prefix(size);
  }
  return {};
}

std::string CharacterName(std::string_view character) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  const bool whole = Utf8CharacterSize(character) == character.size();
  const char32_t value = whole ? CodePoint(character) : static_cast<unsigned char>(character[0]);
  std::string digits;
  for (char32_t left = value; left > 0 || digits.size() < (whole ? 4U : 2U); left >>= 4)
    digits.insert(digits.begin(), kDigits[left & 0xF]);
  return (whole ? "U+" : "0x") + digits;
}

std::string EscapeUnseen(std::string json) {
  const auto may_be = [](char c) { return static_cast<unsigned char>(c) >= 0x7F; };
  if (std::none_of(json.begin(), json.end(), may_be)) return json;
  std::string out;
  std::string_view rest = json;
  while (!rest.empty()) {
    const std::size_t size = std::max<std::size_t>(1, Utf8CharacterSize(rest));
    const std::string_view character = rest.substr(0, size);
    rest.remove_prefix(size);
    const char32_t point = CodePoint(character);
    // Below U+007F only the spaces between values are left, for JSON has escaped the others.
    if (point >= 0x7F && IsUnseen(point))
      AppendEscape(out, point);
    else
      out += character;
  }
  return out;
}

std::size_t CountCharacters(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) { return !IsContinuation(c); }));
}

}  // namespace furrow
