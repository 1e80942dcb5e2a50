// Writes the table of caps that PROTOCOL.md shows.
#include <fmt/format.h>

#include "schemas/compiler/writers.h"

namespace furrow::schema {
namespace {

std::string Grouped(std::uint64_t number) {
  std::string digits = std::to_string(number);
  for (std::ptrdiff_t at = static_cast<std::ptrdiff_t>(digits.size()) - 3; at > 0; at -= 3)
    digits.insert(static_cast<std::size_t>(at), ",");
  return digits;
}

std::string Bytes(std::uint64_t bytes) {
  if (bytes % (1 << 20) == 0) return Grouped(bytes >> 20) + " MiB";
  if (bytes % (1 << 10) == 0) return Grouped(bytes >> 10) + " KiB";
  return Grouped(bytes) + " bytes";
}

std::string CapOf(const Field& field) {
  if (field.max == 0) return "";
  const std::string least = field.min == 0 ? "" : Grouped(field.min) + " to ";
  switch (field.kind) {
    case Kind::kText: return Bytes(field.max) + (field.form == Form::kMessage ? ", a longer one is cut" : "");
    case Kind::kData: return field.form == Form::kHashes ? Grouped(field.max) + " hashes" : Bytes(field.max);
    case Kind::kList:
      return least + Grouped(field.max) + (field.element == Kind::kText ? ", of " + Bytes(field.each) + " each" : "");
    default: return least + Grouped(field.max);
  }
}

// The table leaves out names of the usual size, because the sentence above the table states their cap.
bool IsUsual(const Field& field) {
  return field.kind == Kind::kText &&
         ((field.form == Form::kMessage && field.max == 4096) || (field.form != Form::kMessage && field.max == 1024));
}

void Rows(const Struct& s, const std::string& shown, std::string& text) {
  for (const Field& field : s.fields) {
    if (field.group && field.target != nullptr) {
      Rows(*field.target, shown + "." + field.wire, text);
      continue;
    }
    if (const std::string cap = CapOf(field); !cap.empty() && !IsUsual(field))
      text += fmt::format("| `{}.{}` | {} |\n", shown, field.wire, cap);
  }
  for (const Field& arm : s.arms) {
    if (arm.group && arm.target != nullptr)
      Rows(*arm.target, shown + "." + arm.wire, text);
    else if (const std::string cap = CapOf(arm); !cap.empty() && !IsUsual(arm))
      text += fmt::format("| `{}.{}` | {} |\n", shown, arm.wire, cap);
  }
}

}  // namespace

std::string WriteCaps(const std::vector<File>& files) {
  std::string text = "| frame | at most |\n|---|---|\n";
  for (const File& file : files)
    for (const std::string& name : file.order)
      if (const auto s = file.structs.find(name); s != file.structs.end() && s->second->frame != 0)
        text += fmt::format("| `{}`: {} | {} |\n", s->second->wire, s->second->noun, Bytes(s->second->frame));
  text += "\n| field | at most |\n|---|---|\n";
  for (const File& file : files)
    for (const std::string& name : file.order) {
      const auto s = file.structs.find(name);
      if (s == file.structs.end() || name.find("::") != name.npos) continue;
      Rows(*s->second, s->second->wire, text);
    }
  return text;
}

}  // namespace furrow::schema
