// Writes the owned structs and enums of a schema.
#include <fmt/format.h>

#include <set>
#include <sstream>

#include "schemas/compiler/writers.h"

namespace furrow::schema {
namespace {

std::string WriteEnum(const Enum& e) {
  std::string text;
  if (e.header.empty()) {
    text += Lines(e.doc, "") + fmt::format("enum class {} : std::uint8_t {{\n", e.name);
    for (const Enum::Value& value : e.values)
      text += Lines(value.doc, "  ") + fmt::format("  k{},\n", Pascal(value.wire));
    text += "};\n";
    text += fmt::format("inline constexpr std::size_t k{}Count = {};\n", e.name, e.values.size());
    // NameOf returns the name that people and JSON see.
    text += fmt::format("inline const char* NameOf({} value) {{\n  switch (value) {{\n", e.name);
    for (const Enum::Value& value : e.values)
      text += fmt::format("    case {}::k{}: return \"{}\";\n", e.name, Pascal(value.wire), Snake(value.wire));
    text += "  }\n  return \"unknown\";\n}\n\n";
  }
  return text;
}

// Writes the structs that members of unions become, if they are no structs of the schema.
std::string WriteArmStructs(const Struct& holder) {
  std::string text;
  for (const Field& arm : holder.arms) {
    if (IsNothing(arm) || (arm.kind == Kind::kStruct && arm.arm_field.empty() && arm.arm_type == arm.type)) continue;
    text += Lines(arm.doc, "");
    if (arm.kind == Kind::kStruct && arm.group) continue;  // a group has its own struct
    text += fmt::format("struct {} {{\n", arm.arm_type);
    if (!arm.arm_field.empty()) text += fmt::format("  {} {}{{}};\n", CxxType(arm), arm.arm_field);
    text += fmt::format("  friend bool operator==(const {0}&, const {0}&) = default;\n}};\n", arm.arm_type);
  }
  return text;
}

std::string WriteStruct(const Struct& s) {
  std::string text;
  if (!s.arms.empty() && !IsMaybe(s)) text += WriteArmStructs(s);
  if (!s.variant.empty()) {
    text += Lines(s.doc, "") + fmt::format("using {} = {};\n", s.variant, VariantOf(s));
    text += fmt::format("inline constexpr std::size_t kMax{}Frame = {};  // bytes\n\n", s.variant, s.frame);
    return text;
  }
  if (s.fields.empty() && !s.arms.empty()) return text + "\n";  // the struct only holds a union within another struct
  text += Lines(s.doc, "") + fmt::format("struct {} {{\n", s.name);
  for (const Field& field : s.fields) {
    if (field.max != 0 && (field.kind == Kind::kList || field.kind == Kind::kData || field.kind == Kind::kText ||
                           field.kind == Kind::kInteger))
      text += fmt::format("  static constexpr std::{} kMax{} = {};\n",
                          field.kind == Kind::kInteger ? "uint64_t" : "size_t", Pascal(field.wire), field.max);
  }
  for (const Field& field : s.fields) {
    text += Lines(field.doc, "  ");
    const std::string initial = field.initial.empty() ? "{}" : fmt::format(" = {}", field.initial);
    text += fmt::format("  {} {}{};\n", CxxType(field), field.name, initial);
  }
  text += fmt::format("  friend bool operator==(const {0}&, const {0}&) = default;\n}};\n\n", s.name);
  return text;
}

// Declares the functions that encode and decode the frame of a root.
std::string WriteRoot(const Struct& s) {
  if (s.variant.empty()) return "";
  std::string extra, result = s.variant;
  if (!s.fields.empty()) {
    extra = fmt::format("{} {}, ", CxxType(s.fields[0]), s.fields[0].name);
    result = fmt::format("std::pair<{}, {}>", CxxType(s.fields[0]), s.variant);
  }
  return fmt::format(
      "Result<std::string> Encode({}const {}& message);\n"
      "Result<{}> Decode{}(std::string_view frame);\n",
      extra, s.variant, result, s.variant);
}

}  // namespace

std::string ValueOf(const Struct& s) {
  if (!s.variant.empty()) return s.variant;
  if (s.fields.empty() && !s.arms.empty()) return VariantOf(s);
  return s.name;
}

bool IsMaybe(const Struct& s) {
  return s.fields.empty() && s.arms.size() == 2 && s.arms[0].kind == Kind::kVoid && s.arms[1].kind != Kind::kVoid &&
         s.variant.empty();
}

bool IsNothing(const Field& arm) {
  return arm.kind == Kind::kVoid && arm.wire == "none";
}

std::string VariantOf(const Struct& holder) {
  std::string types;
  for (const Field& arm : holder.arms)
    if (!IsNothing(arm)) types += (types.empty() ? "" : ", ") + arm.arm_type;
  return "std::variant<" + types + ">";
}

std::string CxxType(const Field& field) {
  switch (field.form) {
    case Form::kTime: return "WallTime";
    case Form::kMillis: return "std::chrono::milliseconds";
    case Form::kHashes: return "std::vector<Hash>";
    case Form::kMap: return "std::map<std::string, std::string>";
    case Form::kOptional: return "std::optional<" + field.type + ">";
    case Form::kShared: return "Shared<" + field.type + ">";
    case Form::kMaybe:
      for (const Field& arm : field.target->arms)
        if (arm.kind != Kind::kVoid) return "std::optional<" + arm.type + ">";
      return "void";
    default: break;
  }
  if (field.kind == Kind::kList) return "std::vector<" + field.type + ">";
  if (field.kind == Kind::kUnion) return VariantOf(*field.target);
  return field.type;
}

std::string Lines(const std::string& doc, const std::string& indent) {
  std::string text;
  std::istringstream lines(doc);
  for (std::string line; std::getline(lines, line);) text += indent + "// " + line + "\n";
  return text;
}

std::string Preamble(const File& file) {
  return fmt::format("// Made by schemas/compiler from schemas/{}.capnp; change that instead.\n", file.stem);
}

std::string WriteValues(const File& file) {
  std::string text = Preamble(file) + Lines(file.doc, "") + "#pragma once\n\n";
  for (const char* header : {"array", "chrono", "cstddef", "cstdint", "map", "optional", "string", "string_view",
                             "utility", "variant", "vector"})
    text += fmt::format("#include <{}>\n", header);
  text += "\n";
  std::set<std::string> headers{"common/base/clock.h", "common/base/error.h", "common/base/ids.h",
                                "common/base/shared.h"};
  for (const auto& [name, e] : file.enums)
    if (!e->header.empty()) headers.insert(e->header);
  for (const std::string& import : file.imports) headers.insert("schemas/" + import + ".h");
  for (const std::string& header : headers) text += fmt::format("#include \"{}\"\n", header);
  text += "\nnamespace furrow {\n\n";
  for (const Constant& constant : file.constants)
    text +=
        Lines(constant.doc, "") + fmt::format("inline constexpr std::size_t {} = {};\n", constant.name, constant.value);
  text += "\n";
  for (const std::string& name : file.order) {
    if (const auto e = file.enums.find(name); e != file.enums.end()) text += WriteEnum(*e->second);
    if (const auto s = file.structs.find(name); s != file.structs.end()) text += WriteStruct(*s->second);
  }
  text += "// At most so many bytes a value takes in a message, its struct included.\n";
  for (const std::string& name : file.order)
    if (const auto s = file.structs.find(name); s != file.structs.end() && !IsMaybe(*s->second))
      text += fmt::format("std::size_t WireBytes(const {}& from);\n", ValueOf(*s->second));
  text += "\n";
  std::string roots;
  for (const std::string& name : file.order)
    if (const auto s = file.structs.find(name); s != file.structs.end()) roots += WriteRoot(*s->second);
  if (!roots.empty())
    text +=
        "// A message as a frame, and back. Both know every range and cap: kInvalid names the field that breaks one, "
        "or\n"
        "// says that the bytes are no such message. Neither throws, nor crashes on any bytes.\n" +
        roots;
  return text + "\n}  // namespace furrow\n";
}

}  // namespace furrow::schema
