// Writes the code between the owned values and Cap'n Proto's builders and readers, which checks every cap in both
// directions.
#include <fmt/format.h>

#include <set>

#include "schemas/compiler/writers.h"

namespace furrow::schema {
namespace {

std::string Where(const Struct& owner, const Field& field) {
  return fmt::format("\"{}.{}\"", owner.variant.empty() ? owner.name : owner.variant, field.name);
}

std::string Quoted(const std::string& text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + "\"";
}

// ---- writing -------------------------------------------------------------------------------------------

// Returns statements that put the C++ expression `value` into field `field` of the builder `to`. With `always` they
// write an empty value, too: in a union the written field selects the member.
std::string WriteField(const Struct& owner, const Field& field, const std::string& to, const std::string& value,
                       bool always) {
  const std::string setter = Pascal(field.wire);
  const std::string where = Where(owner, field);
  const std::string caps = fmt::format("{{{}, {}, {}}}", field.min, field.max, where);
  switch (field.form) {
    case Form::kUuid: return fmt::format("  WriteUuid({}.get{}(), {});\n", to, setter, value);
    case Form::kAttempt: return fmt::format("  WriteAttempt({}.get{}(), {});\n", to, setter, value);
    case Form::kTime: return fmt::format("  {}.set{}(MsOf({}));\n", to, setter, value);
    case Form::kMillis:
      return fmt::format("  {}.set{}(InRange(CountOf<{}>({}), {}));\n", to, setter, field.type, value, caps);
    case Form::kId:
      if (field.max != 0 || field.min != 0)
        return fmt::format("  {}.set{}(InRange(Raw({}), {}));\n", to, setter, value, caps);
      return fmt::format("  {}.set{}(Raw({}));\n", to, setter, value);
    case Form::kHash:
      return fmt::format("  WriteHash({2}, [&](auto hash) {{ {0}.set{1}(hash); }});\n", to, setter, value);
    case Form::kHashes:
      return fmt::format("  WriteHashes({2}, {3}, [&](auto hashes) {{ {0}.set{1}(hashes); }});\n", to, setter, value,
                         caps);
    case Form::kArray:
      return fmt::format("  {0}.set{1}(capnp::Data::Reader({2}.data(), {2}.size()));\n", to, setter, value);
    case Form::kLarge:
      return fmt::format(
          "  CheckSize({2}.size(), {3});\n"
          "  if ({2}.size() >= kReferFrom)\n"
          "    {0}.adopt{1}(frame.Refer({2}));\n"
          "  else\n"
          "    {0}.set{1}(DataOf({2}));\n",
          to, setter, value, caps);
    case Form::kMap: {
      const Field& key = field.target->fields[0];
      const Field& mapped = field.target->fields[1];
      std::string text = fmt::format(
          "  CheckCount({2}.size(), {3});\n"
          "  if (!{2}.empty()) {{\n"
          "    auto list = {0}.init{1}(static_cast<unsigned>({2}.size()));\n"
          "    unsigned at = 0;\n"
          "    for (const auto& [key, mapped] : {2}) {{\n"
          "      auto entry = list[at++];\n",
          to, setter, value, caps);
      text += "    " + WriteField(*field.target, key, "entry", "key", true);
      text += "    " + WriteField(*field.target, mapped, "entry", "mapped", false);
      return text + "    }\n  }\n";
    }
    case Form::kMaybe: {
      const Field& arm = field.target->arms[1];
      return fmt::format("  if ({0}) {{\n  {1}  }}\n", value,
                         WriteField(*field.target, arm, to + ".get" + setter + "()", "*" + value, true));
    }
    case Form::kOptional:
      if (field.kind == Kind::kData)
        return fmt::format("  if ({2}) {{\n    CheckSize({2}->size(), {3});\n    {0}.set{1}(DataOf(*{2}));\n  }}\n", to,
                           setter, value, caps);
      return fmt::format("  if ({2}) Write(frame, {0}.init{1}(), *{2});\n", to, setter, value);
    case Form::kShared:
      return fmt::format("  if ({2} == nullptr) ThrowMissing({3});\n  Write(frame, {0}.init{1}(), *{2});\n", to, setter,
                         value, where);
    case Form::kMessage:
      return fmt::format("  WriteMessage({2}, {3}, {4}, [&](auto text) {{ {0}.set{1}(text); }});\n", to, setter, value,
                         field.max, always ? "true" : "false");
    case Form::kPlain: break;
  }
  switch (field.kind) {
    case Kind::kVoid: return fmt::format("  {}.set{}();\n", to, setter);
    case Kind::kBool:
    case Kind::kFloat: return fmt::format("  {}.set{}({});\n", to, setter, value);
    case Kind::kInteger:
      if (field.max != 0 || field.min != 0)
        return fmt::format("  {}.set{}(InRange({}, {}));\n", to, setter, value, caps);
      return fmt::format("  {}.set{}({});\n", to, setter, value);
    case Kind::kEnum: return fmt::format("  {}.set{}(WireEnum<wire::{}>({}));\n", to, setter, field.wire_type, value);
    case Kind::kText:
      return fmt::format("  WriteText({2}, {3}, {4}, {5}, [&](auto text) {{ {0}.set{1}(text); }});\n", to, setter,
                         value, caps, Quoted(field.without), always ? "true" : "false");
    case Kind::kData:
      return fmt::format("  CheckSize({2}.size(), {3});\n  if ({4}!{2}.empty()) {0}.set{1}(DataOf({2}));\n", to, setter,
                         value, caps, always ? "true || " : "");
    case Kind::kList: {
      const std::string init = fmt::format("[&](unsigned count) {{ return {}.init{}(count); }}", to, setter);
      const std::string head = fmt::format("  CheckCount({}.size(), {});\n", value, caps);
      const std::string when = always ? "" : fmt::format("if (!{}.empty()) ", value);
      if (field.element == Kind::kText)
        return head + fmt::format("  {}WriteTexts({}, {{0, {}, {}}}, {});\n", when, value, field.each, where, init);
      if (field.element == Kind::kStruct)
        return head + fmt::format(
                          "  {}WriteList({}, {}, [&](auto to_one, const auto& one) {{ Write(frame, to_one, one); "
                          "}});\n",
                          when, value, init);
      return head + fmt::format("  {}WriteNumbers({}, {});\n", when, value, init);
    }
    case Kind::kStruct:
      return fmt::format("  Write(frame, {}.{}{}(), {});\n", to, field.group && !always ? "get" : "init", setter,
                         value);
    case Kind::kUnion: return fmt::format("  Write(frame, {}.get{}(), {});\n", to, setter, value);
  }
  return "";
}

std::string WriteArms(const Struct& holder, const std::string& variant) {
  std::string text = fmt::format("  switch ({}.index()) {{\n", variant);
  std::size_t index = 0;
  for (const Field& arm : holder.arms) {
    if (IsNothing(arm)) continue;
    std::string value = fmt::format("std::get<{}>({})", index, variant);
    if (!arm.arm_field.empty()) value += "." + arm.arm_field;
    text += fmt::format("    case {}: {{\n    {}    return;\n    }}\n", index++,
                        WriteField(holder, arm, "to", value, /*always=*/true));
  }
  return text + "  }\n";
}

bool IsStructOfRoot(const Struct& holder, const Field& arm) {
  return !holder.variant.empty() && arm.kind == Kind::kStruct && arm.arm_field.empty();
}

std::string ReadAsFunction(const Struct& holder, const Field& arm) {
  return fmt::format("bool ReadAs(wire::{}::Reader from, {}& to)", holder.wire, arm.arm_type);
}

std::string ArmFunction(const Struct& holder, const Field& arm) {
  return fmt::format("void WriteAs(FrameBuilder& frame, wire::{}::Builder to, const {}& from)", holder.wire,
                     arm.arm_type);
}

// ---- reading -------------------------------------------------------------------------------------------

// Returns the C++ expression that reads field `field` of the reader `from`.
std::string ReadField(const Struct& owner, const Field& field, const std::string& from) {
  std::string got = fmt::format("{}.get{}()", from, Pascal(field.wire));
  const std::string where = Where(owner, field);
  const std::string caps = fmt::format("{{{}, {}, {}}}", field.min, field.max, where);
  switch (field.form) {
    case Form::kUuid: return fmt::format("ReadUuid({})", got);
    case Form::kAttempt: return fmt::format("ReadAttempt({})", got);
    case Form::kTime: return fmt::format("WallTime{{{}}}", got);
    case Form::kMillis: return fmt::format("std::chrono::milliseconds(InRange({}, {}))", got, caps);
    case Form::kId:
      if (field.max != 0 || field.min != 0) return fmt::format("{}{{InRange({}, {})}}", field.type, got, caps);
      return fmt::format("{}{{{}}}", field.type, got);
    case Form::kHash: return fmt::format("ReadHash({}, {})", got, where);
    case Form::kHashes: return fmt::format("ReadHashes({}, {})", got, caps);
    case Form::kArray: return fmt::format("ReadArray<{}>({}, {})", field.max, got, where);
    case Form::kLarge: return fmt::format("ReadBytes({}, {})", got, caps);
    case Form::kMap: {
      const Field& key = field.target->fields[0];
      const Field& mapped = field.target->fields[1];
      return fmt::format("ReadMap({}, {}, [](auto entry) {{ return {}; }}, [](auto entry) {{ return {}; }})", got, caps,
                         ReadField(*field.target, key, "entry"), ReadField(*field.target, mapped, "entry"));
    }
    case Form::kMaybe: {
      const Field& arm = field.target->arms[1];
      return fmt::format("ReadMaybe<{}>({}, [](auto maybe) {{ return {}; }})", arm.type, got,
                         ReadField(*field.target, arm, "maybe"));
    }
    case Form::kOptional: {
      const std::string read =
          field.kind == Kind::kData ? fmt::format("ReadBytes({}, {})", got, caps) : fmt::format("Read({})", got);
      return fmt::format("{}.has{}() ? {}({}) : std::nullopt", from, Pascal(field.wire), CxxType(field), read);
    }
    case Form::kShared:
      return fmt::format("({}.has{}() ? void() : ThrowMissing({})), std::make_shared<const {}>(Read({}))", from,
                         Pascal(field.wire), where, field.type, got);
    case Form::kMessage: return fmt::format("ReadMessage({}, {})", got, caps);
    case Form::kPlain: break;
  }
  switch (field.kind) {
    case Kind::kVoid: return "";
    case Kind::kBool:
    case Kind::kFloat: return got;
    case Kind::kInteger: return field.max != 0 || field.min != 0 ? fmt::format("InRange({}, {})", got, caps) : got;
    case Kind::kEnum:
      return fmt::format("ReadEnum<{}>({}, {}, {})", field.type, got, field.enumeration->values.size() - 1, where);
    case Kind::kText: return fmt::format("ReadText({}, {}, {})", got, caps, Quoted(field.without));
    case Kind::kData: return fmt::format("ReadBytes({}, {})", got, caps);
    case Kind::kList:
      if (field.element == Kind::kText) return fmt::format("ReadTexts({}, {}, {})", got, caps, field.each);
      if (field.element == Kind::kStruct)
        return fmt::format("ReadList<{}>({}, {}, [](auto one) {{ return Read(one); }})", field.type, got, caps);
      return fmt::format("ReadList<{}>({}, {}, [](auto one) {{ return static_cast<{}>(one); }})", field.type, got, caps,
                         field.type);
    case Kind::kStruct:
    case Kind::kUnion: return fmt::format("Read({})", got);
  }
  return "";
}

std::string ReadArms(const Struct& holder) {
  std::string text = "  switch (from.which()) {\n";
  const std::string value = ValueOf(holder);
  for (const Field& arm : holder.arms) {
    text += fmt::format("    case wire::{}::{}: ", holder.wire, Upper(arm.wire));
    if (IsNothing(arm)) {
      text += "ThrowEmpty();\n";
    } else {
      text +=
          fmt::format("return {}{{{}}};\n", arm.arm_field.empty() && arm.kind == Kind::kStruct ? value : arm.arm_type,
                      ReadField(holder, arm, "from"));
    }
  }
  return text + "  }\n  ThrowNewer();\n";
}

// ---- whole structs -------------------------------------------------------------------------------------

std::string WriteFunction(const Struct& s) {
  const std::string value = ValueOf(s);
  std::string text = fmt::format(
      "void Write([[maybe_unused]] FrameBuilder& frame, wire::{}::Builder to, const {}& from) {{\n", s.wire, value);
  if (s.check) text += "  Check(from);\n";
  if (!s.arms.empty())
    text += WriteArms(s, "from");
  else
    for (const Field& field : s.fields) text += WriteField(s, field, "to", "from." + field.name, false);
  return text + "}\n\n";
}

std::string ReadFunction(const Struct& s) {
  const std::string value = ValueOf(s);
  std::string text = fmt::format("{} Read(wire::{}::Reader from) {{\n", value, s.wire);
  if (!s.arms.empty()) return text + ReadArms(s) + "}\n\n";
  text += fmt::format("  {} value;\n", value);
  for (const Field& field : s.fields)
    text += fmt::format("  value.{} = ({});\n", field.name, ReadField(s, field, "from"));
  if (s.check) text += "  Check(value);\n";
  return text + "  return value;\n}\n\n";
}

std::string RootFunctions(const Struct& s) {
  std::string number, set, result = s.variant, read = "codec::Read(root)";
  if (!s.fields.empty()) {
    const Field& field = s.fields[0];
    number = fmt::format("{} {}, ", CxxType(field), field.name);
    set = fmt::format("    to.set{}({});\n", Pascal(field.wire), field.name);
    result = fmt::format("std::pair<{}, {}>", CxxType(field), s.variant);
    read = fmt::format("{{root.get{}(), codec::Read(root)}}", Pascal(field.wire));
  }
  return fmt::format(
      "Result<std::string> Encode({0}const {1}& message) {{\n"
      "  return codec::BuildFrame(kMax{1}Frame, \"{2}\", [&](codec::FrameBuilder& frame) {{\n"
      "    auto to = frame.Init<wire::{3}>();\n{4}"
      "    codec::Write(frame, to, message);\n"
      "  }});\n}}\n\n"
      "Result<{5}> Decode{1}(std::string_view frame) {{\n"
      "  Result<{5}> message;\n"
      "  FURROW_TRY(codec::OpenFrame(frame, kMax{1}Frame, \"{2}\", [&](capnp::MessageReader& reader) {{\n"
      "    const auto root = reader.getRoot<wire::{3}>();\n"
      "    message = {6};\n"
      "  }}));\n"
      "  return message;\n}}\n\n",
      number, s.variant, s.noun, s.wire, set, result, read);
}

template <class Visit>
void EachStruct(const File& file, Visit visit) {
  for (const std::string& name : file.order)
    if (const auto s = file.structs.find(name); s != file.structs.end() && !IsMaybe(*s->second)) visit(*s->second);
}

}  // namespace

std::string WriteCodecHeader(const File& file) {
  std::string text =
      Preamble(file) +
      "// Readers and writers of its structs, for codecs alone. They throw codec::Malformed.\n#pragma once\n\n"
      "#include \"common/wire/codec.h\"\n";
  text += fmt::format("#include \"schemas/{0}.capnp.h\"\n#include \"schemas/{0}.h\"\n\nnamespace furrow::codec {{\n\n",
                      file.stem);
  EachStruct(file, [&](const Struct& s) {
    const std::string value = ValueOf(s);
    text += fmt::format("void Write(FrameBuilder& frame, wire::{}::Builder to, const {}& from);\n", s.wire, value);
    text += fmt::format("{} Read(wire::{}::Reader from);\n", value, s.wire);
    if (s.check) text += fmt::format("void Check(const {}& value);  // common/wire/checks.cpp\n", value);
    for (const Field& arm : s.arms)
      if (IsStructOfRoot(s, arm)) text += ArmFunction(s, arm) + ";\n" + ReadAsFunction(s, arm) + ";\n";
  });
  return text + "\n}  // namespace furrow::codec\n";
}

std::string WriteCodec(const File& file) {
  std::string text = Preamble(file);
  text += fmt::format("#include \"schemas/{}_codec.h\"\n\n", file.stem);
  for (const std::string& import : file.imports) text += fmt::format("#include \"schemas/{}_codec.h\"\n", import);
  text += "\nnamespace furrow {\nnamespace codec {\n\n";
  for (const auto& [name, e] : file.enums) {
    if (e->header.empty()) continue;
    for (const Enum::Value& value : e->values)
      text += fmt::format("static_assert(static_cast<int>(wire::{}::{}) == static_cast<int>({}::k{}));\n", e->wire,
                          Upper(value.wire), e->name, Pascal(value.wire));
  }
  EachStruct(file, [&](const Struct& s) {
    text += WriteFunction(s) + ReadFunction(s);
    for (const Field& arm : s.arms)
      if (IsStructOfRoot(s, arm))
        text += fmt::format(
            "{} {{\n  Write(frame, to.init{}(), from);\n}}\n"
            "{} {{\n  if (!from.is{}()) return false;\n  to = Read(from.get{}());\n  return true;\n}}\n",
            ArmFunction(s, arm), Pascal(arm.wire), ReadAsFunction(s, arm), Pascal(arm.wire), Pascal(arm.wire));
  });
  text +=
      "}  // namespace codec\n\nusing codec::kWordBytes, codec::MessageBytes, codec::ObjectBytes, "
      "codec::TextBytes;\n\n";
  EachStruct(file, [&](const Struct& s) { text += WriteSize(s, ValueOf(s)); });
  EachStruct(file, [&](const Struct& s) {
    if (!s.variant.empty()) text += RootFunctions(s);
  });
  return text + "}  // namespace furrow\n";
}

}  // namespace furrow::schema
