// Writes functions that bound how large a value becomes in a message, so that code that makes a value keeps its frame's
// cap without a second encoding.
#include <fmt/format.h>

#include "schemas/compiler/writers.h"

namespace furrow::schema {
namespace {

// Returns statements that add to `bytes` what the C++ value `value` of `field` takes outside of its struct.
std::string Add(const Field& field, const std::string& value) {
  switch (field.form) {
    case Form::kUuid:
    case Form::kAttempt:
    case Form::kTime:
    case Form::kMillis:
    case Form::kId: return "";
    case Form::kHash: return fmt::format("  if (!{}.IsZero()) bytes += ObjectBytes(sizeof(Hash));\n", value);
    case Form::kHashes: return fmt::format("  bytes += ObjectBytes({}.size() * sizeof(Hash));\n", value);
    case Form::kMessage: return fmt::format("  bytes += MessageBytes({}, {});\n", value, field.max);
    case Form::kArray:
    case Form::kLarge: return fmt::format("  bytes += ObjectBytes({}.size());\n", value);
    case Form::kMap:
      return fmt::format(
          "  bytes += 2 * kWordBytes;\n"
          "  for (const auto& [key, mapped] : {}) bytes += {} * kWordBytes + TextBytes(key) + TextBytes(mapped);\n",
          value, field.target->words);
    case Form::kMaybe: {
      const std::string held = Add(field.target->arms[1], "(*" + value + ")");
      return held.empty() ? "" : fmt::format("  if ({}) {{\n  {}  }}\n", value, held);
    }
    case Form::kOptional:
      if (field.kind == Kind::kData) return fmt::format("  if ({0}) bytes += ObjectBytes({0}->size());\n", value);
      return fmt::format("  if ({0}) bytes += kWordBytes + WireBytes(*{0});\n", value);
    case Form::kShared: return fmt::format("  if ({0} != nullptr) bytes += kWordBytes + WireBytes(*{0});\n", value);
    case Form::kPlain: break;
  }
  switch (field.kind) {
    case Kind::kVoid:
    case Kind::kBool:
    case Kind::kInteger:
    case Kind::kFloat:
    case Kind::kEnum: return "";
    case Kind::kText: return fmt::format("  bytes += TextBytes({});\n", value);
    case Kind::kData: return fmt::format("  bytes += ObjectBytes({}.size());\n", value);
    case Kind::kList:
      if (field.element == Kind::kText)
        return fmt::format(
            "  bytes += kWordBytes;\n  for (const std::string& text : {}) bytes += kWordBytes + TextBytes(text);\n",
            value);
      if (field.element == Kind::kStruct)
        return fmt::format("  bytes += 2 * kWordBytes;\n  for (const auto& one : {}) bytes += WireBytes(one);\n",
                           value);
      return fmt::format("  bytes += ObjectBytes({}.size() * kWordBytes);\n", value);
    case Kind::kStruct:
    case Kind::kUnion:
      return fmt::format("  bytes += {}WireBytes({});\n",
                         field.group || field.kind == Kind::kUnion ? "" : "kWordBytes + ", value);
  }
  return "";
}

std::string AddArms(const Struct& holder) {
  std::string cases;
  std::size_t index = 0;
  for (const Field& arm : holder.arms) {
    if (IsNothing(arm)) continue;
    std::string value = fmt::format("std::get<{}>(from)", index);
    if (!arm.arm_field.empty()) value += "." + arm.arm_field;
    const std::string added = Add(arm, value);
    if (!added.empty()) cases += fmt::format("    case {}: {{\n    {}    break;\n    }}\n", index, added);
    ++index;
  }
  return cases.empty() ? "" : fmt::format("  switch (from.index()) {{\n{}    default: break;\n  }}\n", cases);
}

}  // namespace

std::string WriteSize(const Struct& s, const std::string& value) {
  std::string text =
      fmt::format("std::size_t WireBytes([[maybe_unused]] const {}& from) {{\n  std::size_t bytes = {} * kWordBytes;\n",
                  value, s.words);
  if (!s.arms.empty())
    text += AddArms(s);
  else
    for (const Field& field : s.fields) text += Add(field, "from." + field.name);
  return text + "  return bytes;\n}\n\n";
}

}  // namespace furrow::schema
