// Writes the JSON of the structs that people ask for, as nlohmann's ordered_json.
#include <fmt/format.h>

#include "schemas/compiler/writers.h"

namespace furrow::schema {
namespace {

// Returns the JSON of the C++ expression `value`.
std::string JsonOf(const Field& field, const std::string& value) {
  if (field.thousandths) return value + " / 1000.0";
  switch (field.form) {
    case Form::kId: return fmt::format("Raw({})", value);
    case Form::kTime: return fmt::format("JsonTime({})", value);
    case Form::kMillis: return value + ".count()";
    case Form::kHash: return fmt::format("JsonHash({})", value);
    case Form::kUuid: return value + ".ToHex()";
    case Form::kOptional: return fmt::format("{0} ? ToJson(*{0}) : Json(nullptr)", value);
    case Form::kMaybe: return fmt::format("{0} ? Json(*{0}) : Json(nullptr)", value);
    default: break;
  }
  switch (field.kind) {
    case Kind::kEnum: return fmt::format("NameOf({})", value);
    case Kind::kStruct: return fmt::format("ToJson({})", value);
    case Kind::kList:
      if (field.keyed)
        return fmt::format(
            "JsonObject({}, [](const auto& one) -> const auto& {{ return one.{}; }}, [](const auto& one) {{ "
            "return Json(one.{}); }})",
            value, field.target->fields[0].name, field.target->fields[1].name);
      if (field.element == Kind::kStruct)
        return fmt::format("JsonList({}, [](const auto& one) {{ return ToJson(one); }})", value);
      if (field.element == Kind::kEnum)
        return fmt::format("JsonList({}, [](const auto& one) {{ return Json(NameOf(one)); }})", value);
      return value;
    default: return value;
  }
}

void WriteFields(const Struct& s, std::string& text) {
  for (const Field& field : s.fields) {
    if (field.key_given && field.key.empty()) continue;
    const std::string value = "value." + field.name;
    if (field.key_given && field.key == "*")
      text += fmt::format("  json.update(ToJson({}));\n", value);
    else
      text += fmt::format("  json[\"{}\"] = {};\n", field.key, JsonOf(field, value));
  }
}

bool HasJson(const File& file) {
  for (const auto& [name, s] : file.structs)
    if (s->json) return true;
  return false;
}

// An answer that is a list of structs has JSON of its own: {"runs": […]}.
bool ArmHasJson(const Field& arm) {
  return !arm.arm_field.empty() && arm.kind == Kind::kList && arm.target != nullptr && arm.target->json;
}

}  // namespace

std::string WriteJsonHeader(const File& file) {
  if (!HasJson(file)) return "";
  std::string text = Preamble(file) +
                     "// What programs are shown; controller/cli/README.md tells their words.\n#pragma once\n\n"
                     "#include \"common/wire/json.h\"\n";
  text += fmt::format("#include \"schemas/{}.h\"\n\nnamespace furrow {{\n\n", file.stem);
  for (const std::string& name : file.order) {
    const auto found = file.structs.find(name);
    if (found == file.structs.end()) continue;
    if (found->second->json) text += fmt::format("Json ToJson(const {}& value);\n", found->second->name);
    for (const Field& arm : found->second->arms)
      if (ArmHasJson(arm)) text += fmt::format("Json ToJson(const {}& value);\n", arm.arm_type);
  }
  return text + "\n}  // namespace furrow\n";
}

std::string WriteJson(const File& file) {
  if (!HasJson(file)) return "";
  std::string text = Preamble(file);
  text += fmt::format("#include \"schemas/{}_json.h\"\n\n", file.stem);
  for (const std::string& import : file.imports)
    text += fmt::format("#if __has_include(\"schemas/{0}_json.h\")\n#include \"schemas/{0}_json.h\"\n#endif\n", import);
  text += "\nnamespace furrow {\n\n";
  for (const std::string& name : file.order) {
    const auto found = file.structs.find(name);
    if (found == file.structs.end()) continue;
    const Struct& s = *found->second;
    if (s.json) {
      text += fmt::format("Json ToJson(const {}& value) {{\n  Json json = Json::object();\n", s.name);
      WriteFields(s, text);
      text += "  return json;\n}\n\n";
    }
    for (const Field& arm : s.arms) {
      if (!ArmHasJson(arm)) continue;
      text += fmt::format("Json ToJson(const {}& value) {{\n  Json json = Json::object();\n  json[\"{}\"] = {};\n",
                          arm.arm_type, arm.arm_field, JsonOf(arm, "value." + arm.arm_field));
      text += "  return json;\n}\n\n";
    }
  }
  return text + "}  // namespace furrow\n";
}

}  // namespace furrow::schema
