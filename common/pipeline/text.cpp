#include "common/pipeline/text.h"

#include <algorithm>
#include <string>

#include "common/base/text.h"

namespace furrow::pipeline {

namespace {

unsigned char At(std::string_view text, std::size_t i) {
  return static_cast<unsigned char>(text[i]);
}

std::string HexByte(unsigned char byte) {
  constexpr char kHex[] = "0123456789abcdef";
  return {'0', 'x', kHex[byte >> 4], kHex[byte & 15]};
}

}  // namespace

int ColumnAfter(std::string_view before) {
  return 1 + static_cast<int>(CountCharacters(before));
}

Position PositionAt(std::string_view text, std::size_t offset) {
  const std::string_view before = text.substr(0, offset);
  const std::size_t newline = before.rfind('\n');
  const std::string_view line = newline == std::string_view::npos ? before : before.substr(newline + 1);
  return {1 + static_cast<int>(std::count(before.begin(), before.end(), '\n')), ColumnAfter(line)};
}

bool CheckBytes(std::string_view text, Report& report) {
  bool good = true;
  const std::size_t valid = ValidUtf8Prefix(text);
  if (valid < text.size()) {
    report.Add(PositionAt(text, valid),
               "the byte " + HexByte(At(text, valid)) + " is not UTF-8; save the file as UTF-8");
    good = false;
  }
  for (std::size_t i = 0; i < valid; ++i) {
    const unsigned char byte = At(text, i);
    const bool line_end = byte == '\n' || (byte == '\r' && i + 1 < text.size() && text[i + 1] == '\n');
    if (byte == '\t' || line_end || (byte >= 0x20 && byte != 0x7F)) continue;
    report.Add(PositionAt(text, i), "the control character " + HexByte(byte) + " may not stand in the file; remove it");
    return false;
  }
  return good;
}

}  // namespace furrow::pipeline
