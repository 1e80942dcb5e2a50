// Writes functions that fill a value for tests with anything that the schema allows. They fill a new field of a schema
// at once.
#include <fmt/format.h>

#include "schemas/compiler/writers.h"

namespace furrow::schema {
namespace {

// Returns statements that give the C++ lvalue `value` some content.
std::string Fill(const Field& field, const std::string& value) {
  const std::uint64_t max = field.max;
  switch (field.form) {
    case Form::kUuid: return fmt::format("  any.Fill({});\n", value);
    case Form::kAttempt: return fmt::format("  any.Fill({});\n", value);
    case Form::kTime: return fmt::format("  any.Fill({});\n", value);
    case Form::kMillis:
      return fmt::format("  {} = std::chrono::milliseconds(any.Number({}, {}));\n", value, field.min, max);
    case Form::kId: return fmt::format("  {} = {}{{any.Number({}, {})}};\n", value, field.type, field.min, max);
    case Form::kHash: return fmt::format("  any.Fill({});\n", value);
    case Form::kHashes:
      return fmt::format("  any.Each({0}, 0, {1}, [&](auto& item) {{ any.Fill(item); }});\n", value, max);
    case Form::kArray: return fmt::format("  any.Fill({});\n", value);
    case Form::kLarge: return fmt::format("  {} = any.Bytes({}, {});\n", value, field.min, max);
    case Form::kMap:
      return fmt::format("  any.FillMap({}, {}, {}, {}, \"{}\");\n", value, max, field.target->fields[0].max,
                         field.target->fields[1].max, field.target->fields[0].without);
    case Form::kMaybe: {
      const Field& arm = field.target->arms[1];
      return fmt::format("  if (any.Coin()) {{\n    {} one{{}};\n  {}    {} = one;\n  }}\n", arm.type, Fill(arm, "one"),
                         value);
    }
    case Form::kOptional:
      if (field.kind == Kind::kData)
        return fmt::format("  if (any.Coin()) {} = any.Bytes({}, {});\n", value, field.min, max);
      return fmt::format("  if (any.Coin()) Fill(any, {}.emplace());\n", value);
    case Form::kShared:
      return fmt::format(
          "  {{\n    {0} one;\n    Fill(any, one);\n    {1} = std::make_shared<const {0}>(std::move(one));\n  }}\n",
          field.type, value);
    case Form::kMessage: return fmt::format("  {} = any.Text(0, {}, \"\");\n", value, max);
    case Form::kPlain: break;
  }
  switch (field.kind) {
    case Kind::kVoid: return "";
    case Kind::kBool: return fmt::format("  {} = any.Coin();\n", value);
    case Kind::kFloat: return fmt::format("  {} = any.Float();\n", value);
    case Kind::kInteger:
      return fmt::format("  {} = static_cast<{}>(any.Number({}, {}));\n", value, field.type, field.min, max);
    case Kind::kEnum:
      return fmt::format("  {} = static_cast<{}>(any.Pick({}));\n", value, field.type,
                         field.enumeration->values.size());
    case Kind::kText: return fmt::format("  {} = any.Text({}, {}, \"{}\");\n", value, field.min, max, field.without);
    case Kind::kData: return fmt::format("  {} = any.Bytes({}, {});\n", value, field.min, max);
    case Kind::kList:
      if (field.element == Kind::kText)
        return fmt::format("  any.Each({}, {}, {}, [&](auto& item) {{ item = any.Text(0, {}, \"\"); }});\n", value,
                           field.min, max, field.each);
      if (field.element == Kind::kStruct)
        return fmt::format("  any.Each({}, {}, {}, [&](auto& item) {{ Fill(any, item); }});\n", value, field.min, max);
      if (field.element == Kind::kFloat)
        return fmt::format("  any.Each({}, {}, {}, [&](auto& item) {{ item = any.Float(); }});\n", value, field.min,
                           max);
      return fmt::format("  any.Each({}, {}, {}, [&](auto& item) {{ item = static_cast<{}>(any.Number(0, 0)); }});\n",
                         value, field.min, max, field.type);
    case Kind::kStruct:
    case Kind::kUnion: return fmt::format("  Fill(any, {});\n", value);
  }
  return "";
}

template <class Visit>
void EachFilled(const File& file, Visit visit) {
  for (const std::string& name : file.order) {
    const auto s = file.structs.find(name);
    if (s != file.structs.end() && !IsMaybe(*s->second)) visit(*s->second);
  }
}

}  // namespace

std::string WriteArbitraryHeader(const File& file) {
  std::string text = Preamble(file) + "#pragma once\n\n#include \"tests/support/arbitrary.h\"\n";
  text += fmt::format("#include \"schemas/{}.h\"\n\nnamespace furrow::testing {{\n\n", file.stem);
  EachFilled(file,
             [&](const Struct& s) { text += fmt::format("void Fill(Arbitrary& any, {}& value);\n", ValueOf(s)); });
  return text + "\n}  // namespace furrow::testing\n";
}

std::string WriteArbitrary(const File& file) {
  std::string text = Preamble(file);
  text += fmt::format("#include \"schemas/{}_arbitrary.h\"\n\n", file.stem);
  for (const std::string& import : file.imports) text += fmt::format("#include \"schemas/{}_arbitrary.h\"\n", import);
  text += "\nnamespace furrow::testing {\n\n";
  EachFilled(file, [&](const Struct& s) {
    text += fmt::format("void Fill(Arbitrary& any, {}& value) {{\n", ValueOf(s));
    if (s.arms.empty()) {
      for (const Field& field : s.fields) text += Fill(field, "value." + field.name);
    } else {
      std::string cases;
      std::size_t index = 0;
      for (const Field& arm : s.arms) {
        if (IsNothing(arm)) continue;
        const std::string one = arm.arm_field.empty() ? "one" : "one." + arm.arm_field;
        cases += fmt::format(
            "    case {}: {{\n      [[maybe_unused]] {} one;\n    {}      value = std::move(one);\n      return;\n    "
            "}}\n",
            index++, arm.arm_type, Fill(arm, one));
      }
      text += fmt::format("  switch (any.Pick({})) {{\n{}  }}\n", index, cases);
    }
    if (s.check) text += "  any.Settle(value);\n";
    text += "}\n\n";
  });
  return text + "}  // namespace furrow::testing\n";
}

}  // namespace furrow::schema
