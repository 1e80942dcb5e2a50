#include "common/pipeline/text.h"

#include <algorithm>
#include <string>

namespace furrow::pipeline {

namespace {

unsigned char At(std::string_view text, std::size_t i) {
  return static_cast<unsigned char>(text[i]);
}

// Length of the valid character that starts at `i`, or 0.
std::size_t CharacterLength(std::string_view text, std::size_t i) {
  const unsigned char lead = At(text, i);
  if (lead < 0x80) return 1;
  std::size_t length = 0;
  unsigned char low = 0x80, high = 0xBF;  // of the second byte: rules out overlong forms and surrogates
  if (lead >= 0xC2 && lead <= 0xDF) {
    length = 2;
  } else if (lead >= 0xE0 && lead <= 0xEF) {
    length = 3;
    if (lead == 0xE0) low = 0xA0;
    if (lead == 0xED) high = 0x9F;
  } else if (lead >= 0xF0 && lead <= 0xF4) {
    length = 4;
    if (lead == 0xF0) low = 0x90;
    if (lead == 0xF4) high = 0x8F;
  }
  if (length == 0 || i + length > text.size()) return 0;
  if (At(text, i + 1) < low || At(text, i + 1) > high) return 0;
  for (std::size_t k = 2; k < length; ++k) {
    if ((At(text, i + k) & 0xC0) != 0x80) return 0;
  }
  return length;
}

std::string HexByte(unsigned char byte) {
  constexpr char kHex[] = "0123456789abcdef";
  return {'0', 'x', kHex[byte >> 4], kHex[byte & 15]};
}

}  // namespace

std::size_t ValidUtf8Prefix(std::string_view text) {
  std::size_t i = 0;
  while (i < text.size()) {
    const std::size_t length = CharacterLength(text, i);
    if (length == 0) break;
    i += length;
  }
  return i;
}

int ColumnAfter(std::string_view before) {
  return 1 + static_cast<int>(std::count_if(before.begin(), before.end(),
                                            [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

Place PlaceAt(std::string_view text, std::size_t offset) {
  const std::string_view before = text.substr(0, offset);
  const std::size_t newline = before.rfind('\n');
  const std::string_view line = newline == std::string_view::npos ? before : before.substr(newline + 1);
  return {1 + static_cast<int>(std::count(before.begin(), before.end(), '\n')), ColumnAfter(line)};
}

bool CheckBytes(std::string_view text, Report& report) {
  bool good = true;
  const std::size_t valid = ValidUtf8Prefix(text);
  if (valid < text.size()) {
    report.Add(PlaceAt(text, valid), "the byte " + HexByte(At(text, valid)) + " is not UTF-8; save the file as UTF-8");
    good = false;
  }
  for (std::size_t i = 0; i < valid; ++i) {
    const unsigned char byte = At(text, i);
    const bool line_end = byte == '\n' || (byte == '\r' && i + 1 < text.size() && text[i + 1] == '\n');
    if (byte == '\t' || line_end || (byte >= 0x20 && byte != 0x7F)) continue;
    report.Add(PlaceAt(text, i), "the control character " + HexByte(byte) + " may not stand in the file; remove it");
    return false;
  }
  return good;
}

}  // namespace furrow::pipeline
